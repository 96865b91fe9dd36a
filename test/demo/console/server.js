// A console for people and programs that manage their API keys: pages, and an
// HTTP API. Everything that it may do is in the database: its role has the
// accesses "manage", "impersonate" and "decide" (schema.sql).
//
// In the environment, beside libpq's PGHOST, PGUSER and so on:
//   PORT, HOST      where it listens; HOST is 127.0.0.1 if not set
//   POOL            how many connections it has
//   TIME_LIMIT      after how many seconds a request is answered that the console is busy; 10
//   CONSOLE_USERS   {"user": "password", ...}: stands for the application's own sign-in
//   TRUST_PROXY     addresses of proxies whose X-Forwarded-For counts, separated by commas
//   SECURE_COOKIE   1: behind HTTPS
'use strict'
const express = require('express')
const { createApi } = require('./api')
const { createPages } = require('./pages')

const { PORT = 8080, HOST = '127.0.0.1', TRUST_PROXY } = process.env

const app = express()
app.disable('x-powered-by')
app.set('trust proxy', TRUST_PROXY ? TRUST_PROXY.split(',') : false)

app.use((request, response, next) => {
  response.set({
    'Content-Security-Policy':
      "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; " +
      "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store'
  })
  next()
})

// The API knows no cookies, and the pages take no keys.
app.use(['/api/public/v1.0', '/api/atlas/v2'], createApi())
app.get('/api/private/ipinfo', (request, response) =>
  response.json({ currentIpv4Address: request.ip.replace(/^::ffff:/, '') })
)

app.use(createPages())

const server = app.listen(Number(PORT), HOST, (error) => {
  if (error) throw error
  console.log(`listening on http://${HOST}:${server.address().port}`)
})
