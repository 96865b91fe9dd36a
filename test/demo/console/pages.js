// The pages: which route shows what. A route is a function that works in one
// transaction and answers { view, … } to be rendered, or { redirect, … }. It is
// answered to the browser only after the commit. If the database refuses, the page
// named beside it is shown again, with what was typed in and the reason.
'use strict'
const path = require('node:path')
const { Eta } = require('eta')
const express = require('express')
const { asUser } = require('./database')
const { findPlace } = require('./place')
const { PageError, explainRefusal } = require('./refusals')
const sessions = require('./sessions')
const { addressOf, text } = require('./request')
const chapters = [require('./keys'), require('./members'), require('./audit'), require('./explain')]

const SECRET_LIFE = 10 * 60 * 1000 // how long a page shows a new private key

function keepSecret({ secrets }, issued) {
  secrets.set(issued.publicKey, issued)
  const forget = () => secrets.get(issued.publicKey) === issued && secrets.delete(issued.publicKey)
  setTimeout(forget, SECRET_LIFE).unref()
}

const eta = new Eta({ views: path.join(__dirname, 'views'), cache: true })

function render(request, response, status, view, data) {
  const { session } = request
  const { notice, user, token } = session
  session.notice = undefined
  response
    .status(status)
    .type('html')
    .send(
      eta.render(`./${view}`, {
        refusal: null,
        form: request.body ?? {},
        place: null,
        chapter: null,
        notice,
        user,
        token,
        time,
        ...data
      })
    )
}

// One transaction, in which the user of the session acts.
const perform = (request, kind, work) =>
  asUser(request.session.user, addressOf(request), async (query) => {
    const { params, session, query: search, body: form = {} } = request
    const place = kind && (await findPlace(query, kind, params.place))
    return { place, ...(await work({ query, place, params, session, form, search })) }
  })

// Does the work and shows what it answers; if it is refused, shows page.
async function answer(request, response, kind, work, page) {
  let result
  let refusal = null
  try {
    result = await perform(request, kind, work)
  } catch (error) {
    refusal = explainRefusal(error)
    if (!refusal || !page) throw error
    result = await perform(request, kind, page)
  }
  const { session } = request
  const { view, redirect, notice, issued, ...data } = result
  if (issued) keepSecret(session, issued)
  if (!redirect) return render(request, response, refusal?.status ?? 200, view, { ...data, refusal })
  session.notice = notice
  response.redirect(303, redirect)
}

function signIn(request, response) {
  if (sessions.signIn(request, response, text(request.body.user), text(request.body.password)))
    return response.redirect(303, '/')
  const refusal = {
    identifier: null,
    sentence: 'User or password is wrong, or there were too many attempts in this minute.'
  }
  render(request, response, 401, 'sign-in', { title: 'Sign in', refusal })
}

function signOut(request, response) {
  sessions.signOut(request, response)
  response.redirect(303, '/sign-in')
}

function requireGenuine(request, response, next) {
  if (!sessions.isGenuine(request))
    throw new PageError(
      403,
      'This form is out of date, or it came from another site. Nothing was changed. Go back, reload the page and try again.'
    )
  next()
}

const requireUser = (request, response, next) => (request.session.user ? next() : response.redirect(303, '/sign-in'))

function createPages() {
  const router = express.Router()
  router.use(sessions.load)
  router.use('/static', express.static(path.join(__dirname, 'static'), { index: false }))
  router.use(express.urlencoded({ extended: false, limit: '64kb', parameterLimit: 1000 }))
  router.post('/{*any}', requireGenuine)
  router.get('/sign-in', (request, response) => render(request, response, 200, 'sign-in', { title: 'Sign in' }))
  router.post('/sign-in', signIn)
  router.post('/sign-out', signOut)

  router.use(requireUser)
  router.get('/', (request, response) => answer(request, response, null, listPlaces))
  for (const kind of ['organization', 'project']) {
    router.get(`/${kind}s/:place`, (request, response) =>
      response.redirect(303, `/${kind}s/${encodeURIComponent(request.params.place)}/keys`)
    )
    for (const [method, path, work, page] of chapters.flat()) {
      router[method](`/${kind}s/:place${path}`, (request, response) => answer(request, response, kind, work, page))
    }
  }

  router.use(() => {
    throw new PageError(404, 'There is no such page.')
  })
  router.use((error, request, response, next) => {
    const refusal = explainRefusal(error) ?? explainFault(error)
    render(request, response, refusal.status, 'refused', { title: 'Refused', refusal })
  })
  return router
}

async function listPlaces({ query }) {
  const organizations = await query(
    `SELECT o.id, o.name, (SELECT coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name) ORDER BY p.name), '[]')
       FROM apikeys.project AS p WHERE p.organization_id = o.id) AS projects
     FROM apikeys.organization AS o ORDER BY o.name LIMIT 200`
  )
  return { view: 'places', title: 'Organizations and projects', organizations }
}

// A form that is too long or cannot be read, too many requests, or a fault of ours.
function explainFault(error) {
  if (error.status >= 503) return { status: error.status, identifier: null, sentence: error.message }
  if (error.status === 413)
    return { status: 413, identifier: null, sentence: 'The form is too long. Nothing was changed.' }
  if (error.status >= 400 && error.status < 500)
    return { status: error.status, identifier: null, sentence: 'The request cannot be read.' }
  console.error('failed:', error.code ?? error.name, error.code ? '' : error.stack)
  return { status: 500, identifier: null, sentence: 'Something went wrong here. Nothing was changed.' }
}

// PostgreSQL has years that JavaScript has not, and times that never were.
function time(date) {
  if (!date) return date
  if (date === -Infinity) return 'the beginning of time'
  const moment = new Date(date)
  return Number.isNaN(moment.getTime())
    ? 'after the year 275,759'
    : moment.toISOString().replace('T', ' ').replace(/:\d\d\.\d+Z/, ' UTC')
}

module.exports = { createPages }
