// Sign-in, sessions and CSRF tokens. A session is a random id in a cookie; what
// belongs to it is in this process's memory. The CSRF token is a keyed hash of the
// id, so that a visitor who has not signed in costs no memory.
'use strict'
const { createHash, createHmac, randomBytes, timingSafeEqual } = require('node:crypto')

const IDLE = 30 * 60 * 1000
const LONGEST = 12 * 60 * 60 * 1000
const ATTEMPTS = 10 // failed sign-ins of an address in a minute
const SECURE = process.env.SECURE_COOKIE === '1'
const COOKIE = SECURE ? '__Host-session' : 'session'

// {"anna": "password", ...}: stands for the application's own sign-in.
const users = new Map(Object.entries(JSON.parse(process.env.CONSOLE_USERS ?? '{}')))
const sessions = new Map()
const failures = new Map()
const tokenKey = randomBytes(32)

const digest = (text) => createHash('sha256').update(text).digest()
const isSame = (one, other) => timingSafeEqual(digest(one), digest(other))
const tokenOf = (id) => createHmac('sha256', tokenKey).update(id).digest('base64url')

const isOver = ({ startedAt, usedAt }) => usedAt < Date.now() - IDLE || startedAt < Date.now() - LONGEST

function setCookie(response, id) {
  response.setHeader('Set-Cookie', `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Lax${SECURE ? '; Secure' : ''}`)
}

// Sets request.session: { id, token, user, ... }; without user before sign-in.
function load(request, response, next) {
  const [, sent] = new RegExp(`(?:^|; *)${COOKIE}=([\\w-]{43})(?:;|$)`).exec(request.headers.cookie ?? '') ?? []
  let session = sessions.get(sent)
  if (session && isOver(session)) {
    sessions.delete(sent)
    session = undefined
  }
  if (!session) {
    const id = sent ?? randomBytes(32).toString('base64url')
    if (!sent) setCookie(response, id)
    session = { id, token: tokenOf(id) }
  }
  session.usedAt = Date.now()
  request.session = session
  next()
}

// A form counts only if it comes from a page of this session.
function isGenuine(request) {
  const site = request.headers['sec-fetch-site'] ?? 'same-origin'
  const token = request.body?._token
  return site === 'same-origin' && typeof token === 'string' && isSame(token, request.session.token)
}

// The network that somebody has: an IPv4 address, or the first half of an IPv6 one.
function networkOf(ip) {
  if (!ip.includes(':') || ip.includes('.')) return ip
  const [head, tail = ''] = ip.split('::').map((part) => part.split(':').filter(Boolean))
  return [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail].slice(0, 4).join(':')
}

// Whether user and password are right; nobody guesses fast from one network.
function signIn(request, response, user, password) {
  const minute = Math.floor(Date.now() / 60000)
  if (failures.get('minute') !== minute) failures.clear()
  failures.set('minute', minute)
  const network = networkOf(request.ip)
  const count = failures.get(network) ?? 0
  const known = users.get(user)
  if (count >= ATTEMPTS || !isSame(password, known ?? '') || known === undefined) {
    failures.set(network, count + 1)
    return false
  }
  sessions.delete(request.session.id)
  for (const [id, session] of sessions) if (isOver(session)) sessions.delete(id)
  // A new id: one that somebody planted before is worth nothing.
  const id = randomBytes(32).toString('base64url')
  sessions.set(id, { id, token: tokenOf(id), user, secrets: new Map(), startedAt: Date.now(), usedAt: Date.now() })
  setCookie(response, id)
  return true
}

function signOut(request, response) {
  sessions.delete(request.session.id)
  setCookie(response, randomBytes(32).toString('base64url'))
}

module.exports = { load, isGenuine, signIn, signOut }
