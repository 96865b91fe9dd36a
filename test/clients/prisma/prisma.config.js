// Prisma with its engines in JavaScript and WebAssembly.  What reads the catalog
// expects names as text and "char" as characters, as Prisma's native engine
// sends them, and the adapter knows neither.
'use strict'
const path = require('node:path')
const { PrismaPg } = require('@prisma/adapter-pg')
const { ColumnTypeEnum } = require('@prisma/driver-adapter-utils')

const CHAR = 18
const READ_AS = { [CHAR]: 25, 19: 25, 1003: 1009 }

class CatalogReader extends PrismaPg {
  async connect() {
    const adapter = await super.connect()
    const perform = adapter.performIO.bind(adapter)
    const query = adapter.queryRaw.bind(adapter)
    let characters
    adapter.performIO = async (statement) => {
      const result = await perform(statement)
      characters = result.fields.map(({ dataTypeID }) => dataTypeID === CHAR)
      for (const field of result.fields) field.dataTypeID = READ_AS[field.dataTypeID] ?? field.dataTypeID
      return result
    }
    adapter.queryRaw = async (statement) => {
      const result = await query(statement)
      const columnTypes = result.columnTypes.map((type, n) => (characters[n] ? ColumnTypeEnum.Character : type))
      return { ...result, columnTypes }
    }
    return adapter
  }
}

module.exports = {
  experimental: { adapter: true },
  engine: 'js',
  schema: path.join(__dirname, 'schema.prisma'),
  adapter: async () =>
    new CatalogReader({ connectionString: process.env.DATABASE_URL, allowExitOnIdle: true }, { schema: 'apikeys' })
}
