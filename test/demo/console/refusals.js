// What the database refuses, for people: the identifier of an error (its field
// CONSTRAINT) says which sentence and which HTTP status.
'use strict'

const SENTENCES = {
  access_list_required: 'The organization requires an access list for every key. Add a network first.',
  access_list_too_long: 'The access list has too many networks.',
  database_role_not_found: 'There is no PostgreSQL role of that name.',
  invalid_access_list:
    'This is no address and no network. Write 203.0.113.7 or 203.0.113.0/24; the bits after the prefix must be zero.',
  invalid_address: 'This is no IP address.',
  invalid_description:
    'A description has 1 to 250 characters, no spaces at its ends, no invisible characters, and no private key in it.',
  invalid_expiration: 'This time is over already.',
  invalid_overlap: 'The old private key cannot live on for that long.',
  invalid_principal: 'A member is user: or role: and a name.',
  invalid_reason:
    'A reason has 1 to 250 characters, no spaces at its ends, no invisible characters, and no private key in it.',
  invalid_scope: 'A scope has letters, digits and the characters _ . : / -. Several are separated by single blanks.',
  key_not_found: 'There is no such key, or you may not see it.',
  key_not_in_project: 'The key has no role in this project.',
  last_entry:
    'This is the last entry of the access list. Without it, the key could be used from every address. If you want that, open the key to every address.',
  last_owner: 'An organization keeps at least one owner. Make somebody else an owner first.',
  last_secret: 'This is the last private key. Rotate it instead, or delete the key.',
  lifetime_exceeded: 'The key would live for longer than the organization allows.',
  name_taken: 'This name is taken.',
  no_address: 'Your current address is not known.',
  organization_not_found: 'There is no such organization, or you may not see it.',
  overlap_too_long: 'The old private key would live on for longer than the organization allows.',
  own_access_list: 'You would demand an access list, and have none yourself.',
  own_address: 'You would exclude the address that you are calling from.',
  pepper_required: 'HTTP Digest needs a pepper, and the database has none.',
  permission_denied: 'You do not have the permission for this. Ask an owner of the organization.',
  project_not_found: 'There is no such project, or you may not see it.',
  role_duplicate: 'A role is named twice.',
  role_level_mismatch: 'A role of projects does not fit an organization, nor the other way round.',
  role_not_found: 'There is no such role.',
  role_not_grantable: 'You cannot grant a role that permits more than your own roles do.',
  roles_missing: 'Choose at least one role.',
  secret_lifetime_exceeded: 'The private key would live for longer than the organization allows.',
  secret_not_found: 'There is no such private key any more.',
  serialization_failure: 'Somebody else was faster. Try again.',
  too_many_keys: 'The organization has as many keys as it may.'
}

class PageError extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

// { status, identifier, sentence } of an error that the user can do something
// about; null for a fault of ours.
function explainRefusal(error) {
  if (error instanceof PageError) return { status: error.status, identifier: null, sentence: error.message }
  const status = statusOf(error)
  if (status === null) return null
  const identifier = error.constraint ?? null
  return {
    status,
    identifier,
    sentence: SENTENCES[identifier] ?? (identifier ? error.message : 'This input cannot be used.')
  }
}

function statusOf({ code = '', constraint = '' }) {
  if (/_not_found$|^key_not_in_project$/.test(constraint)) return 404
  if (code === '28000') return 401
  if (code === '42501') return 403
  if (/^22/.test(code)) return 400
  if (/^(23|40001|2BP01|54000)/.test(code) || (code === '55000' && constraint !== 'not_preloaded')) return 409
  return null
}

module.exports = { SENTENCES, PageError, explainRefusal }
