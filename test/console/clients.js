// The clients that the API is tried with, all with one face: { status, json, headers }.
'use strict'
const { execFile } = require('node:child_process')
const { createRequire } = require('node:module')

const asText = (body) => (body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
const JSON_TYPE = { 'content-type': 'application/json' }

async function read(response) {
  const text = await response.text()
  return { status: response.status, json: text && JSON.parse(text), headers: response.headers }
}

const plain = (authorization) => async (url, key, method, target, body, headers) =>
  read(
    await fetch(new URL(target, url), {
      method,
      body: asText(body),
      headers: { authorization: authorization(key), ...JSON_TYPE, ...headers }
    })
  )

const basic = plain(
  (key) => `Basic ${Buffer.from(`${key.public_key}:${key.private_key}`).toString('base64')}`
)
const bearer = plain((key) => `Bearer ${key.api_key}`)

// The command-line client, with the body from its standard input.
const MARK = '\n--- the answer ---\n'
const curl =
  (...options) =>
  (url, key, method, target, body) =>
    new Promise((resolve, reject) => {
      const child = execFile(
        'curl',
        [
          ...['--silent', '--show-error', '--user', `${key.public_key}:${key.private_key}`, '--request', method],
          ...['--header', 'Content-Type: application/json', '--header', 'Expect:'],
          ...['--write-out', `${MARK}%{http_code}${MARK}%{header_json}`],
          ...options,
          ...(body === undefined ? [] : ['--data-binary', '@-']),
          new URL(target, url).href
        ],
        { maxBuffer: 1e8 },
        (error, stdout) => {
          if (error) return reject(error)
          const [text, status, headers] = stdout.split(MARK)
          resolve({
            status: Number(status),
            json: text && JSON.parse(text),
            headers: new Headers(Object.entries(JSON.parse(headers)).map(([name, values]) => [name, values.join(', ')]))
          })
        }
      )
      child.stdin.on('error', () => {})
      child.stdin.end(asText(body) ?? '')
    })

// digest-fetch keeps a nonce, and cannot make two requests at a time.
const digestClients = new Map()
const digestFetch = (algorithm) => async (url, key, method, target, body) => {
  const name = `${algorithm} ${key.public_key} ${key.private_key}`
  if (!digestClients.has(name)) {
    const { DigestClient } = await import(require.resolve('digest-fetch'))
    digestClients.set(name, {
      client: new DigestClient(key.public_key, key.private_key, { algorithm }),
      last: Promise.resolve()
    })
  }
  const entry = digestClients.get(name)
  const options = { method, body: asText(body), headers: { ...JSON_TYPE } }
  const answer = entry.last.then(() => entry.client.fetch(new URL(target, url).href, options)).then(read)
  entry.last = answer.catch(() => {})
  return answer
}

// The HTTP layer of mongodb-atlas-api-client, which has no functions for API keys
// itself, on the urllib that it brings.
async function atlas(url, key, method, target, body) {
  const from = createRequire(require.resolve('mongodb-atlas-api-client'))
  const HttpClient = from('./httpClient')
  let answer
  const recorder = {
    request: async (...request) => {
      answer = await from('urllib').request(...request)
      return answer
    }
  }
  await new HttpClient(recorder, key.public_key, key.private_key).fetch(new URL(target, url).href, {
    method,
    headers: JSON_TYPE,
    ...(typeof body === 'string' ? { content: body } : { data: body }),
    timeout: 60000
  })
  return {
    status: answer.status,
    json: answer.data || '',
    headers: new Headers(Object.entries(answer.headers).map(([name, values]) => [name, [values].flat().join(', ')]))
  }
}

// By name; isDigest: the key has to have opted in.
const CLIENTS = {
  Basic: { call: basic },
  Bearer: { call: bearer },
  'curl with Basic': { call: curl('--basic') },
  'curl with Bearer': {
    call: (url, key, ...request) =>
      curl('--oauth2-bearer', key.api_key)(url, { public_key: '', private_key: '' }, ...request)
  },
  'curl --digest': { call: curl('--digest'), isDigest: true },
  'digest-fetch, MD5': { call: digestFetch('MD5'), isDigest: true },
  'digest-fetch, SHA-256': { call: digestFetch('SHA-256'), isDigest: true },
  'mongodb-atlas-api-client': { call: atlas, isDigest: true }
}

module.exports = { CLIENTS }
