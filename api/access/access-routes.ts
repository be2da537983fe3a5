/** The endpoints of keys, and of the log of changes. */
import { API_KEY_NAME_PATTERN } from '../../devices/access/api-key-store.ts'
import { LIMITS } from '../limits.ts'
import { CURSOR, limit } from '../parameters.ts'
import type { ParameterSpec, Route } from '../route.ts'
import { ref } from '../schemas.ts'
import { createKey, getKey, listChanges, listKeys, revokeKey, rotateKey } from './key-handlers.ts'

const KEY_NAME: ParameterSpec = {
  name: 'name',
  kind: 'text',
  required: true,
  pattern: API_KEY_NAME_PATTERN,
  doc: 'The name of the key.',
}

export const ACCESS_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/keys',
    operationId: 'createKey',
    summary: 'Make an API key',
    description:
      'With at most the role and the scopes of the key that asks; a viewer where none is named.',
    access: 'keys:write',
    pathParameters: [],
    queryParameters: [],
    body: ref('NewKey'),
    success: { status: 201, description: 'It works now.', schema: ref('ShownKey') },
    failures: ['key_exists', 'payload_too_large', 'media_type_unsupported'],
    handle: createKey,
  },
  {
    method: 'GET',
    path: '/v1/keys',
    operationId: 'listKeys',
    summary: 'List keys in the order of their names',
    access: 'keys:read',
    pathParameters: [],
    queryParameters: [limit(LIMITS.keysPerPageMax, LIMITS.keysPerPageDefault), CURSOR],
    success: { status: 200, description: 'A page.', schema: ref('KeyList') },
    failures: ['cursor_invalid'],
    handle: listKeys,
  },
  {
    method: 'GET',
    path: '/v1/keys/{name}',
    operationId: 'getKey',
    summary: 'Get a key, without its secret',
    access: 'keys:read',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    success: { status: 200, description: 'The key.', schema: ref('Key') },
    failures: ['key_not_found'],
    handle: getKey,
  },
  {
    method: 'POST',
    path: '/v1/keys/{name}/rotate',
    operationId: 'rotateKey',
    summary: 'Give a key another secret',
    description: 'The secret that it had works on for `overlapSeconds`, 0 where left out.',
    access: 'keys:write',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    body: ref('KeyRotation'),
    success: { status: 200, description: 'The new secret.', schema: ref('ShownKey') },
    failures: ['key_not_found', 'payload_too_large', 'media_type_unsupported'],
    handle: rotateKey,
  },
  {
    method: 'DELETE',
    path: '/v1/keys/{name}',
    operationId: 'revokeKey',
    summary: 'Revoke a key',
    description: 'Requests and live sessions with it are refused within a second.',
    access: 'keys:write',
    pathParameters: [KEY_NAME],
    queryParameters: [],
    success: { status: 204, description: 'It is gone.' },
    failures: ['key_not_found'],
    handle: revokeKey,
  },
  {
    method: 'GET',
    path: '/v1/changes',
    operationId: 'listChanges',
    summary: 'Who changed what, newest first',
    access: 'changes:read',
    pathParameters: [],
    queryParameters: [
      { name: 'subject', kind: 'text', charsMax: 256, doc: 'Of this only, such as device/pump-1.' },
      { name: 'actor', kind: 'text', charsMax: 256, doc: 'By this one only, such as key:deploy.' },
      limit(LIMITS.changesPerPageMax, LIMITS.changesPerPageDefault),
      CURSOR,
    ],
    success: { status: 200, description: 'A page.', schema: ref('ChangeList') },
    failures: ['cursor_invalid'],
    handle: listChanges,
  },
]
