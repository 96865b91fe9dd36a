// What the console asks the database for is in doc/recipes.md: every function,
// table and view.
'use strict'
const assert = require('node:assert/strict')
const { readdirSync, readFileSync } = require('node:fs')
const path = require('node:path')
const { test } = require('node:test')

const CONSOLE = path.join(__dirname, '../demo/console')
const namesIn = (text) => new Set([...text.matchAll(/\bapikeys\.(\w+)/g)].map(([, name]) => name))

test('the recipes have all that the console asks for', () => {
  const recipes = readFileSync(path.join(__dirname, '../../doc/recipes.md'), 'utf8')
  const [, chapter] = /^## A Console for Your Users\n(.*?)^## /ms.exec(recipes)
  const sources = readdirSync(CONSOLE)
    .filter((name) => name.endsWith('.js'))
    .map((name) => readFileSync(path.join(CONSOLE, name), 'utf8'))
    .join('\n')
    .replace('apikeys.${verb}', '')
  const missing = [...namesIn(sources)].filter((name) => !namesIn(chapter).has(name))
  assert.deepEqual(missing, [])
  assert.ok(namesIn(sources).size > 20)
})

test('the console has sentences for identifiers that exist', () => {
  const { SENTENCES } = require('../demo/console/refusals')
  const reference = readFileSync(path.join(__dirname, '../../doc/reference.md'), 'utf8')
  const identifiers = new Set([...reference.matchAll(/^`(\w+)` \| \w{5}/gm)].map(([, name]) => name))
  assert.deepEqual(
    Object.keys(SENTENCES).filter((name) => !identifiers.has(name)),
    []
  )
})
