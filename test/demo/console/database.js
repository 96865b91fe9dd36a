// Each request is one transaction, and in it the database knows who acts.
// What is bound to a transaction ends with it, so connections can be pooled.
'use strict'
const { setTimeout: sleep } = require('node:timers/promises')
const { DatabaseError, Pool } = require('pg')

// So long a request may wait for a connection, may a statement take, and may all
// before the last statement take: nobody has a connection for long.
const TIME_LIMIT = 1000 * Number(process.env.TIME_LIMIT ?? 10)

// The server ends a statement itself, unless it is stopped.
const PATIENCE = TIME_LIMIT + 1000

const pool = new Pool({
  max: Number(process.env.POOL ?? 10),
  statement_timeout: TIME_LIMIT,
  connectionTimeoutMillis: TIME_LIMIT
})
// A connection that is lost while a request has it ends the request, and nothing else.
const noteLost = (error) => console.error('connection lost:', error.code)
pool.on('error', noteLost)
pool.on('connect', (client) => client.on('error', noteLost))

class BusyError extends Error {
  constructor() {
    super('The console is busy. Nothing was changed. Try again later.')
    this.status = 503
  }
}

// Nobody knows what became of a COMMIT that was not answered.
class DoubtError extends Error {
  constructor(answer) {
    super('The database did not say in time whether this was done. Look before you try it again.')
    this.status = 504
    this.answer = answer
  }
}

async function connect() {
  try {
    return await pool.connect()
  } catch (error) {
    console.error('no connection:', error.code ?? error.message)
    throw new BusyError()
  }
}

class NoAnswerError extends Error {
  constructor() {
    super('no answer')
  }
}

// Fails if there is no answer in time.
const within = (limit, answer) =>
  Promise.race([
    answer,
    sleep(limit, null, { ref: false }).then(() => {
      throw new NoAnswerError()
    })
  ])

// The server's time limit does not hold for its wait for a standby.
async function commit(client) {
  const answer = client.query('COMMIT')
  try {
    await within(TIME_LIMIT, answer)
  } catch (error) {
    const isRefused = error instanceof DatabaseError && !error.code.startsWith('57P')
    if (isRefused) throw error
    console.error('in doubt:', error.code ?? error.message)
    throw new DoubtError(answer)
  }
}

// Runs work(query) after the statement that says who acts. query(text, values)
// returns rows. Values are always parameters, never part of the text.
async function transaction(identify, values, work) {
  const end = Date.now() + TIME_LIMIT
  const client = await connect()
  const query = async (text, parameters) => {
    if (Date.now() > end) throw new BusyError()
    return (await within(PATIENCE, client.query(text, parameters))).rows
  }
  const releaseAfter = (answer) =>
    answer.then(
      () => client.release(),
      (failure) => client.release(failure)
    )
  try {
    await query('BEGIN')
    await query(identify, values)
    const result = await work(query)
    await commit(client)
    client.release()
    return result
  } catch (error) {
    // One that waits is one of the pool's, but the other side may be gone without a word.
    if (error instanceof DoubtError) releaseAfter(within(60 * TIME_LIMIT, error.answer))
    else if (error instanceof NoAnswerError) client.release(error)
    else await releaseAfter(within(PATIENCE, client.query('ROLLBACK')))
    throw error instanceof NoAnswerError || error.code === '57014' ? new BusyError() : error
  }
}

// A person who is signed in to the console.
const asUser = (user, address, work) => transaction('SELECT apikeys.act_as($1, $2)', [`user:${user}`, address], work)

// A program, which proves a key; it manages with the rights of that key.
const asKey = (publicKey, privateKey, address, work) =>
  transaction('SELECT apikeys.authenticate($1, $2, $3)', [publicKey, privateKey, address], work)

const asToken = (apiKey, address, work) =>
  transaction('SELECT apikeys.authenticate_token($1, $2)', [apiKey, address], work)

// By HTTP Digest; what the request asks for has to be as the client has sent it.
const asDigest = (authorization, method, uri, address, work) =>
  transaction('SELECT apikeys.authenticate_digest($1, $2, $3, $4)', [authorization, method, uri, address], work)

// What keys take HTTP Digest for; that of Basic is the same, for clients mix them up.
const REALM = 'apikeys'

// The values of WWW-Authenticate that let a client try Digest; none where the
// database has no pepper, or cannot be asked now.
async function challenge(isStale) {
  try {
    const { rows } = await pool.query({
      text: 'SELECT value FROM apikeys.digest_challenge($1, $2) AS value',
      values: [REALM, isStale],
      query_timeout: PATIENCE
    })
    return rows.map(({ value }) => value)
  } catch (error) {
    if (error.constraint !== 'pepper_required') console.error('no challenge:', error.code ?? error.message)
    return []
  }
}

module.exports = { asUser, asKey, asToken, asDigest, challenge, REALM, pool }
