/** The endpoints of devices. */
import { LIMITS } from '../limits.ts'
import { CURSOR, DEVICE_ID, limit } from '../parameters.ts'
import type { Route } from '../route.ts'
import { ref } from '../schemas.ts'
import {
  createDevice,
  deleteDevice,
  getDevice,
  listDevices,
  setDeviceState,
  updateDevice,
} from './device-handlers.ts'

export const DEVICE_ROUTES: readonly Route[] = [
  {
    method: 'POST',
    path: '/v1/devices',
    operationId: 'createDevice',
    summary: 'Register a device and get its credential',
    description: 'The secret is in this answer only: it is stored as a keyed hash.',
    access: 'devices:write',
    pathParameters: [],
    queryParameters: [],
    body: ref('NewDevice'),
    success: { status: 201, description: 'It exists now.', schema: ref('CreatedDevice') },
    failures: ['device_exists', 'payload_too_large', 'media_type_unsupported'],
    handle: createDevice,
  },
  {
    method: 'GET',
    path: '/v1/devices',
    operationId: 'listDevices',
    summary: 'List devices in the order of their ids',
    access: 'devices:read',
    pathParameters: [],
    queryParameters: [
      { name: 'q', kind: 'text', charsMax: 256, doc: 'Part of an id or a name, in any case.' },
      { name: 'include', kind: 'choice', choices: ['latest'], doc: '`latest`: newest values too.' },
      limit(LIMITS.devicesPerPageMax, LIMITS.devicesPerPageDefault),
      CURSOR,
    ],
    success: { status: 200, description: 'A page.', schema: ref('DeviceList') },
    failures: ['cursor_invalid'],
    handle: listDevices,
  },
  {
    method: 'GET',
    path: '/v1/devices/{id}',
    operationId: 'getDevice',
    summary: 'Get a device',
    access: 'devices:read',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    success: { status: 200, description: 'The device.', schema: ref('Device') },
    failures: ['device_not_found'],
    handle: getDevice,
  },
  {
    method: 'PATCH',
    path: '/v1/devices/{id}',
    operationId: 'updateDevice',
    summary: 'Change a device',
    description:
      'What is left out stays as it is. A connected device goes on under its new policy.',
    access: 'devices:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    body: ref('DeviceChange'),
    versioned: true,
    success: { status: 200, description: 'The device as it is now.', schema: ref('Device') },
    failures: ['device_not_found', 'payload_too_large', 'media_type_unsupported'],
    handle: updateDevice,
  },
  {
    method: 'PUT',
    path: '/v1/devices/{id}/state',
    operationId: 'setDeviceState',
    summary: 'Put a device into another state, with the reason',
    description:
      'Within a second every connection of the device is closed or restricted as the state says. ' +
      'pending and active, suspended, quarantined (it speaks, and is not counted), retired (for good).',
    access: 'devices:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    body: ref('StateChange'),
    versioned: true,
    success: { status: 200, description: 'The device as it is now.', schema: ref('Device') },
    failures: [
      ...(['device_not_found', 'state_conflict', 'payload_too_large'] as const),
      'media_type_unsupported',
    ],
    handle: setDeviceState,
  },
  {
    method: 'DELETE',
    path: '/v1/devices/{id}',
    operationId: 'deleteDevice',
    summary: 'Delete a device and its credentials',
    description: 'It can no longer connect. What it measured stays stored until it expires.',
    access: 'devices:write',
    pathParameters: [DEVICE_ID],
    queryParameters: [],
    versioned: true,
    success: { status: 204, description: 'It is gone.' },
    failures: ['device_not_found'],
    handle: deleteDevice,
  },
]
