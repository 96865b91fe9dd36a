// 200 people look at pages of the console: visit.js URL SECONDS PAUSE BROWSERS. Each
// waits PAUSE seconds after a page, on average. Prints what the pages took.
'use strict'
const [, , url, seconds, pause, browsers] = process.argv
const end = Date.now() + seconds * 1000
const random = (n) => Math.floor(Math.random() * n)
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const taken = new Map()
const failures = []

class Browser {
  constructor(user) {
    Object.assign(this, { user, cookie: '' })
  }

  async ask(path, form) {
    const response = await fetch(url + path, {
      method: form ? 'POST' : 'GET',
      body: form && new URLSearchParams(form),
      redirect: 'manual',
      headers: this.cookie ? { cookie: this.cookie } : {}
    })
    this.cookie = response.headers.get('set-cookie')?.split(';')[0] ?? this.cookie
    const text = await response.text()
    if (response.status >= 400) failures.push(`${response.status} ${path}`)
    return text
  }

  async show(kind, path) {
    const begin = performance.now()
    const text = await this.ask(path)
    taken.set(kind, [...(taken.get(kind) ?? []), performance.now() - begin])
    return text
  }

  async signIn() {
    const [, token] = /name="_token" value="([^"]*)"/.exec(await this.ask('/sign-in'))
    await this.ask('/sign-in', { _token: token, user: this.user, password: 'a password' })
    const places = [...(await this.show('places', '/')).matchAll(/href="(\/(?:organizations|projects)\/[\w-]{36})/g)]
    this.places = places.map(([, place]) => place).filter((place) => place.startsWith('/projects') || this.isOwner())
  }

  isOwner() {
    return Number(this.user.slice(1)) % 2 === 0
  }

  // A page of keys, and then what people do with one.
  async wander() {
    const place = this.places[random(this.places.length)]
    const list = await this.show('keys', `${place}/keys`)
    await this.rest()
    const [, next] = /href="([^"]*before=[^"]*)"/.exec(list) ?? []
    if (next && random(4) === 0) await this.show('keys, next page', new URL(next.replaceAll('&amp;', '&'), `${url}${place}/keys`).href.slice(url.length))
    if (random(4) === 0) await this.show('search', `${place}/keys?search=${['Backup', 'billing 1', 'nothing'][random(3)]}`)
    const keys = [...list.matchAll(/\/keys\/(ak_pub_\d+)"/g)].map(([, key]) => key)
    if (!keys.length) return
    const key = keys[random(keys.length)]
    await this.show('details', `${place}/keys/${key}`)
    await this.rest()
    const [kind, path] = [
      ['new key', '/keys/new'],
      ['members', '/members'],
      ['audit', '/audit'],
      ['audit of a key', `/audit?key=${key}`],
      ['explain', `/explain?key=${key}&address=192.0.2.7&scope=clusters.read`],
      ['confirm', `/keys/${key}/confirm/delete`]
    ][random(6)]
    await this.show(kind, place + path)
    await this.rest()
  }

  rest() {
    return sleep(Math.random() * 2000 * pause)
  }
}

async function main() {
  const all = Array.from({ length: browsers }, (_, n) => new Browser(`u${n + 1}`))
  for (const browser of all) await browser.signIn()
  await Promise.all(
    all.map(async (browser) => {
      await browser.rest()
      while (Date.now() < end) await browser.wander()
    })
  )
  const at = (times, part) => times.sort((a, b) => a - b)[Math.floor(times.length * part)].toFixed(1)
  console.log('\nof whole pages, by HTTP\tpages\tmedian ms\t95 % ms')
  for (const [kind, times] of [...taken, ['all', [...taken.values()].flat()]])
    console.log([kind, times.length, at(times, 0.5), at(times, 0.95)].join('\t'))
  if (failures.length) {
    console.log(`${failures.length} pages failed:`, [...new Set(failures)].slice(0, 5))
    process.exitCode = 1
  }
}

main()
