/** The commands that bring a first reading, as they are pasted into a shell. Pure. */
const MQTT_PORT = 1883
const MQTTS_PORT = 8883
/** What a server binds to be reached at any of its addresses: an address to bind, not to call. */
const ANY_ADDRESS = ['0.0.0.0', '[::]']

export function createDeviceCommand(origin: string, id: string): string {
  return (
    `curl -X POST ${origin}/v1/devices \\\n  -H "authorization: Bearer $WEIR_KEY" \\\n` +
    `  -H 'content-type: application/json' \\\n  -d '{"id":"${id}"}'`
  )
}

/** `mqttUrl` is what the api says; where it says nothing, the host that this page came from. */
export function publishCommand(mqttUrl: string | undefined, pageHost: string): string {
  const { host, port, secure } = placeOf(mqttUrl ?? '', pageHost)
  return (
    `mosquitto_pub -h ${host} -p ${port} -q 1${secure ? ' --tls-use-os-certs' : ''} \\\n` +
    `  -u USERNAME -P SECRET \\\n  -t t -m '{"temperature":21.5}'`
  )
}

type Place = Readonly<{ host: string; port: number; secure: boolean }>

function placeOf(mqttUrl: string, pageHost: string): Place {
  const found = /^(mqtts?):\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?/.exec(mqttUrl)
  const secure = found?.[1] === 'mqtts'
  const said = found?.[2] ?? ''
  const host = said === '' || ANY_ADDRESS.includes(said) ? pageHost : said
  const port = Number(found?.[3] ?? (secure ? MQTTS_PORT : MQTT_PORT))
  // mosquitto_pub takes an IPv6 address without the brackets of a URL.
  return { host: host.replace(/^\[|\]$/g, ''), port, secure }
}
