/** The endpoints of a device's credentials. */
import { CREDENTIAL_NAME_PATTERN } from '../../devices/credential-store.ts'
import { DEVICE_ID } from '../parameters.ts'
import type { ParameterSpec, Route } from '../route.ts'
import { ref } from '../schemas.ts'
import {
  createCredential,
  listCredentials,
  revokeCredential,
  rotateCredential,
} from './credential-handlers.ts'

const CREDENTIAL_NAME: ParameterSpec = {
  name: 'name',
  kind: 'text',
  required: true,
  pattern: CREDENTIAL_NAME_PATTERN,
  doc: 'The name of the credential.',
}

export const CREDENTIAL_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/devices/{id}/credentials',
    operationId: 'createCredential',
    summary: 'Give a device another credential, beside those it has',
    description:
      'It works from `notBefore` until `notAfter`, where they are given. A connection ends within ' +
      'a second of the end of the credential it was made with.',
    access: 'credentials:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    body: ref('NewCredential'),
    success: { status: 201, description: 'It works now.', schema: ref('ShownCredential') },
    failures: [
      ...(['device_not_found', 'credential_exists', 'state_conflict', 'limit_exceeded'] as const),
      ...(['payload_too_large', 'media_type_unsupported'] as const),
    ],
    handle: createCredential,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}/credentials',
    operationId: 'listCredentials',
    summary: 'List the credentials of a device, without their secrets',
    access: 'credentials:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    success: { status: 200, description: 'All of them.', schema: ref('CredentialList') },
    failures: ['device_not_found'],
    handle: listCredentials,
  },
  {
    method: 'POST',
    path: '/v1/devices/{id}/credentials/{name}/rotate',
    operationId: 'rotateCredential',
    summary: 'Give a credential another secret',
    description:
      'The secret that it had works on for `overlapSeconds`, 0 where left out; its connections ' +
      'then end within a second, those made with the new one stay.',
    access: 'credentials:write',
    pathParameters: [DEVICE_ID, CREDENTIAL_NAME],
    queryParameters: [],
    body: ref('CredentialRotation'),
    success: { status: 200, description: 'The new secret.', schema: ref('ShownCredential') },
    failures: [
      ...(['device_not_found', 'credential_not_found', 'state_conflict'] as const),
      ...(['payload_too_large', 'media_type_unsupported'] as const),
    ],
    handle: rotateCredential,
  },
  {
    method: 'DELETE',
    path: '/v1/devices/{id}/credentials/{name}',
    operationId: 'revokeCredential',
    summary: 'Revoke a credential',
    description: 'Connections that were made with it end within a second.',
    access: 'credentials:write',
    pathParameters: [DEVICE_ID, CREDENTIAL_NAME],
    queryParameters: [],
    success: { status: 204, description: 'It is gone.' },
    failures: ['device_not_found', 'credential_not_found'],
    handle: revokeCredential,
  },
]
