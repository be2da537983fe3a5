import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDeviceCommand, publishCommand } from './first-commands.ts'

const start = (mqttUrl: string | undefined) => publishCommand(mqttUrl, 'here').split(' \\')[0]

test('the command names the host and port that the api says', () => {
  assert.equal(start('mqtt://127.0.0.1:1884'), 'mosquitto_pub -h 127.0.0.1 -p 1884 -q 1')
  assert.equal(start('mqtt://[::1]:1884/'), 'mosquitto_pub -h ::1 -p 1884 -q 1')
  assert.equal(
    start('mqtts://iot.example'),
    'mosquitto_pub -h iot.example -p 8883 -q 1 --tls-use-os-certs',
  )
})

test('where the api says nothing, or only what it binds, it is the host of this page', () => {
  assert.equal(start(undefined), 'mosquitto_pub -h here -p 1883 -q 1')
  assert.equal(start('mqtt://0.0.0.0:1999'), 'mosquitto_pub -h here -p 1999 -q 1')
})

test('a device is created at the address of this page', () => {
  assert.match(
    createDeviceCommand('http://here:8080', 'a'),
    /POST http:\/\/here:8080\/v1\/devices /,
  )
})
