'use strict'
const express = require('express')
module.exports = { createApi: () => express.Router() }
