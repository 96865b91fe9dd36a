// A real browser walks the model's procedures, as the owner of an organization and
// as the user administrator of a project. Of each step a picture is taken, into the
// folder SCREENSHOTS, and axe-core looks for what people with disabilities would
// stumble over.
'use strict'
const assert = require('node:assert/strict')
const path = require('node:path')
const { mkdirSync } = require('node:fs')
const { after, before, test } = require('node:test')
const { chromium } = require('playwright-core')
const { source: axe } = require('axe-core')
const { setUp, start, tearDown, sql, value, passwordOf } = require('./harness')

const SCREENSHOTS = process.env.SCREENSHOTS || 'screenshots'
const CHROMIUM = '/usr/bin/chromium'
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
let browser, url, places
const faults = []

before(async () => {
  mkdirSync(SCREENSHOTS, { recursive: true })
  places = await setUp()
  for (let n = 1; n <= 24; n++) {
    await sql("SELECT apikeys.create_project_key($1, $2, '{GROUP_BACKUP_ADMIN}', '{203.0.113.0/24}')", [
      places.production,
      `Backup of region ${n}`
    ])
  }
  const [reports] = await sql("SELECT * FROM apikeys.create_key($1, 'Monthly reports', '{ORG_READ_ONLY}')", [
    places.acme
  ])
  for (const [address, scope] of [
    ['198.51.100.7', 'clusters.read'],
    ['198.51.100.7', 'clusters.read'],
    ['203.0.113.9', 'clusters.create']
  ]) {
    await sql('SELECT apikeys.decide($1, $2, $3::inet, $4)', [reports.public_key, reports.private_key, address, scope])
  }
  await sql("SELECT apikeys.set_rate_limit($1, 100, '1 minute')", [reports.public_key])
  await sql("SELECT apikeys.set_quota($1, 50000, 'month')", [reports.public_key])
  await sql(
    `INSERT INTO apikeys.key_history (public_key, hour, reason, organization_id, count, cost)
     SELECT $1, date_trunc('day', now(), 'UTC') - n * interval '1 day', r.reason, $2, r.count, r.count
     FROM generate_series(1, 27) AS n,
       LATERAL (VALUES ('ok', 900 + 37 * n * n % 1100), ('scope_denied', CASE WHEN n % 6 = 0 THEN 150 END)) AS r (reason, count)
     WHERE r.count IS NOT NULL AND n % 7 <> 3`,
    [reports.public_key, places.acme]
  )
  ;({ url } = await start())
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
})
after(async () => {
  await browser?.close()
  await tearDown()
})

// A signed-in page; what the browser complains about is noted.
async function open(user, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(60000)
  page.on('console', (message) => {
    if (message.type() === 'error' && !/status of 4\d\d/.test(message.text())) faults.push(message.text())
  })
  page.on('pageerror', (error) => faults.push(error.message))
  await page.goto(`${url}/sign-in`)
  await page.getByLabel('User').fill(user)
  await page.getByLabel('Password').fill(passwordOf(user))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.waitForURL(`${url}/`)
  return page
}

const picture = (page, name) => page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true })

// A picture of the page; axe finds nothing serious, nothing is cut off.
async function look(page, name) {
  await picture(page, name)
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run(document))
  const serious = violations.filter(({ impact }) => ['serious', 'critical', 'moderate'].includes(impact))
  assert.deepEqual(
    serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
    [],
    name
  )
  const [scrolled, shown] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    document.documentElement.clientWidth
  ])
  assert.ok(scrolled <= shown, `${name} is wider than the window: ${scrolled} of ${shown}`)
}

const click = (page, role, name) => page.getByRole(role, { name, exact: true }).click()
const heading = (page) => page.getByRole('heading', { level: 1 }).textContent()
const refusalOf = (page) => page.getByRole('alert').locator('code').textContent()
const row = (page, text) => page.getByRole('row').filter({ hasText: text })

// The procedures, one after the other; each step is shown as see(page, "name-step").
async function walk(page, place, name, see) {
  const isProject = place.includes('/projects/')
  const shot = (step) => see?.(page, `${name}-${step}`)
  await page.goto(url + place + '/keys')
  await shot('1-applications')

  // Add API key, step 1: information and roles.
  await click(page, 'link', 'Add API key')
  assert.equal(await heading(page), 'Add API key')
  await page.getByLabel('Description').fill('Deployments')
  await page.getByRole('checkbox', { name: isProject ? /^GROUP_READ_ONLY/ : /^ORG_READ_ONLY/ }).check()
  await shot('2-information')
  await click(page, 'button', 'Next')

  // Step 2: private key and access list.
  assert.equal(await heading(page), 'Private key & access list')
  const secret = await page.locator('#private-key').textContent()
  assert.match(secret, /^ak_sec_\w{49}$/)
  await page.getByLabel('Add an address or a network').fill('203.0.113.7/24')
  await click(page, 'button', 'Add access list entry')
  assert.equal(await refusalOf(page), 'invalid_access_list')
  await shot('3-refused-network')
  await page.getByLabel('Add an address or a network').fill('203.0.113.0/24')
  await click(page, 'button', 'Add access list entry')
  await click(page, 'button', 'Use Current IP Address')
  assert.equal(await row(page, '127.0.0.1/32').count(), 1)
  assert.equal(await page.locator('#private-key').textContent(), secret, 'still shown while the list is made')
  await shot('4-private-key-and-list')
  await click(page, 'button', 'Done')

  // View details.
  await row(page, 'Deployments').getByRole('link').click()
  assert.equal(await heading(page), 'Deployments')
  assert.ok(!(await page.content()).includes(secret))
  assert.match(await page.locator('dl').textContent(), /\*{8}\w{4}/)
  await shot('5-details')

  // Change the description, the roles and the list.
  await page.getByLabel('Description').fill('Deployments of the week')
  await click(page, 'button', 'Save')
  assert.equal(await heading(page), 'Deployments of the week')
  await page
    .getByRole('group', { name: isProject ? 'Project roles' : 'Organization roles' })
    .getByRole('checkbox', { name: isProject ? /^GROUP_BACKUP_ADMIN/ : /^ORG_MEMBER/ })
    .check()
  await click(page, 'button', 'Save roles')
  await page.getByRole('button', { name: 'Remove 203.0.113.0/24' }).click()
  await page.getByRole('button', { name: 'Remove 127.0.0.1/32' }).click()
  assert.equal(await refusalOf(page), 'last_entry')
  await shot('6-last-entry')

  // Rotate with an overlap, and revoke the old one.
  await page.getByLabel('The present private key lives on for').selectOption('1 day')
  await click(page, 'button', 'Rotate')
  assert.notEqual(await page.locator('#private-key').textContent(), secret)
  await shot('7-rotated')
  await page.getByRole('button', { name: 'Done' }).click()
  await row(page, 'Deployments of the week').getByRole('link').click()
  assert.equal(await page.getByRole('button', { name: /^Revoke/ }).count(), 2)
  await page
    .getByRole('button', { name: /^Revoke/ })
    .last()
    .click()
  assert.equal(await page.getByRole('button', { name: /^Revoke/ }).count(), 1)
  await page.getByRole('button', { name: /^Revoke/ }).click()
  assert.equal(await refusalOf(page), 'last_secret')

  // Disable, enable, delete with a confirmation.
  await page.getByLabel('Reason (optional)').fill('moving house')
  await click(page, 'button', 'Disable')
  assert.match(await page.locator('dl').textContent(), /disabled\s+moving house/)
  await shot('8-disabled')
  await click(page, 'button', 'Enable')
  await click(page, 'link', 'Delete')
  await shot('9-confirm')
  await click(page, 'link', 'Cancel')
  await click(page, 'link', 'Delete')
  await click(page, 'button', 'Delete')
  assert.equal(await page.getByRole('status').textContent(), 'The key is deleted.')
  assert.equal(await row(page, 'Deployments of the week').count(), 0)
}

test('an owner signs in and chooses a place', async () => {
  const page = await browser.newPage()
  await page.goto(url)
  await look(page, '0-sign-in')
  await page.getByLabel('User').fill('anna')
  await page.getByLabel('Password').fill('wrong')
  await click(page, 'button', 'Sign in')
  await look(page, '0-sign-in-refused')
  const anna = await open('anna')
  await look(anna, '0-places')
  await anna.getByRole('link', { name: 'production' }).click()
  assert.equal(await heading(anna), 'Applications')
})

test('an owner walks the procedures of the organization', async () =>
  walk(await open('anna'), `/organizations/${places.acme}`, 'owner', look))
test('an owner walks the procedures of a project', async () =>
  walk(await open('anna'), `/projects/${places.production}`, 'owner-project', picture))
test('a user administrator walks the procedures of the project', async () =>
  walk(await open('bert'), `/projects/${places.production}`, 'administrator', picture))
test('all of it works without JavaScript', async () =>
  walk(await open('anna', { javaScriptEnabled: false }), `/organizations/${places.acme}`))
test('all of it works on a phone', async () =>
  walk(await open('anna', PHONE), `/organizations/${places.acme}`, 'phone', look))

test('keys are searched, and pages are turned', async () => {
  const page = await open('anna')
  await page.goto(`${url}/organizations/${places.acme}/keys`)
  assert.equal(await page.getByRole('row').count(), 21)
  await click(page, 'link', 'Next page')
  assert.equal(await page.getByRole('row').count(), 6)
  assert.equal(await page.getByRole('link', { name: 'Next page' }).count(), 0)
  await click(page, 'link', 'First page')
  await page.getByRole('searchbox').fill('REGION 1')
  await page.getByRole('searchbox').press('Enter')
  assert.equal(await page.getByRole('row').count(), 12)
  await look(page, 'search')
})

test('a key is assigned to a project, gets other roles there, and is removed', async () => {
  const page = await open('anna')
  await page.goto(`${url}/organizations/${places.acme}/keys?search=Monthly`)
  await row(page, 'Monthly reports').getByRole('link').click()
  await look(page, 'used-key')
  const form = page.locator('form[action$="/assign"]')
  await form.getByLabel('Project', { exact: true }).selectOption('staging')
  await form.getByRole('checkbox', { name: /^GROUP_AUTOMATION_ADMIN/ }).check()
  await click(page, 'button', 'Assign to project')
  await page.locator('dl').getByRole('link', { name: 'staging' }).click()
  await page.getByRole('checkbox', { name: /^GROUP_AUTOMATION_ADMIN/ }).uncheck()
  await page.getByRole('checkbox', { name: /^GROUP_OWNER/ }).check()
  await click(page, 'button', 'Save roles')
  assert.match(await page.locator('dl').textContent(), /staging:\s+GROUP_OWNER/)
  await click(page, 'link', 'Remove from the project')
  await click(page, 'button', 'Remove from the project')
  assert.equal(await page.getByRole('status').textContent(), 'The key is removed from the project.')
})

test('members, audit and explain', async () => {
  const page = await open('anna')
  await page.goto(`${url}/organizations/${places.acme}/members`)
  await page.getByRole('button', { name: 'Remove ORG_OWNER from user:anna' }).click()
  assert.equal(await refusalOf(page), 'last_owner')
  await page.getByLabel('Member').fill('user:emil')
  await page.getByLabel('Role').selectOption('ORG_MEMBER')
  await click(page, 'button', 'Add member')
  await look(page, 'members')
  await page.getByRole('button', { name: 'Remove ORG_MEMBER from user:emil' }).click()
  await click(page, 'link', 'Audit')
  await page.getByLabel('Action').fill('member.added')
  await page.getByLabel('Who').fill('user:anna')
  await click(page, 'button', 'Filter')
  assert.equal(await page.getByRole('row').count(), 2)
  await look(page, 'audit')
  await click(page, 'link', 'Explain')
  await page
    .getByLabel('Public key')
    .fill(await value("SELECT public_key FROM apikeys.key WHERE description = 'Backup of region 7'"))
  await page.getByLabel('Address').fill('198.51.100.7')
  await page.getByLabel('Scope').fill('backups.create')
  await page.getByLabel('Project', { exact: true }).selectOption('production')
  await click(page, 'button', 'Explain')
  assert.equal(await page.getByRole('heading', { level: 2 }).textContent(), 'Denied: address_denied')
  await look(page, 'explain')
  await page.getByLabel('Scope').fill('not a scope!')
  await click(page, 'button', 'Explain')
  assert.equal(await refusalOf(page), 'invalid_scope')
})

test('where the model refuses, the console does', async () => {
  const bert = await open('bert')
  await look(bert, 'administrator-places')
  assert.equal((await bert.goto(`${url}/projects/${places.staging}/keys`)).status(), 404)
  await look(bert, 'refused-project')
  await bert.goto(`${url}/organizations/${places.acme}/new-key`)
  await bert.getByLabel('Description').fill('too much')
  await bert.getByRole('checkbox', { name: /^ORG_OWNER/ }).check()
  await click(bert, 'button', 'Next')
  assert.equal(await refusalOf(bert), 'permission_denied')
  assert.equal(await bert.getByLabel('Description').inputValue(), 'too much', 'what was typed in is still there')
  assert.ok(await bert.getByRole('checkbox', { name: /^ORG_OWNER/ }).isChecked())
  await look(bert, 'refused-new-key')
  // A key that has a role in the organization, too, is not the project's to change.
  const shared = await value("SELECT public_key FROM apikeys.key WHERE description = 'Monthly reports'")
  await sql("SELECT FROM apikeys.set_project_roles($1, $2, '{GROUP_READ_ONLY}')", [shared, places.production])
  await bert.goto(`${url}/projects/${places.production}/keys/${shared}`)
  await bert.getByLabel('Description').fill('mine')
  await click(bert, 'button', 'Save')
  assert.equal(await refusalOf(bert), 'permission_denied')
  const gustav = await open('gustav')
  await gustav.goto(`${url}/organizations/${places.acme}/keys/${shared}`)
  await click(gustav, 'button', 'Rotate')
  assert.equal(await refusalOf(gustav), 'permission_denied')
})

test('a private key is copied with a button', async () => {
  const page = await open('anna')
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${url}/organizations/${places.acme}/new-key`)
  await page.getByLabel('Description').fill('to copy')
  await page.getByRole('checkbox', { name: /^ORG_MEMBER/ }).check()
  await click(page, 'button', 'Next')
  const secret = await page.locator('#private-key').textContent()
  await page.getByRole('button', { name: 'Copy the private key' }).click()
  await page.getByText('Copied').waitFor()
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret)
})

test('all is reached by the keyboard', async () => {
  const page = await open('anna')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Acme')
  await page.keyboard.press('Enter')
  await page.waitForURL(/organizations/)
  assert.equal(await heading(page), 'Applications')
})

test('the browser has complained of nothing', () => assert.deepEqual(faults, []))
