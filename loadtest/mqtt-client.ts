/**
 * An MQTT 3.1.1 device of our own, on node:net and an independent codec, so that a mistake in the
 * connector's codec cannot hide behind the same mistake here. It publishes with QoS 0 and 1,
 * reconnects for ever, and sends unacknowledged messages again with DUP (MQTT-4.4.0-1) in their
 * first order. It counts what the server does wrong instead of forgiving it.
 */
import { type Socket, connect } from 'node:net'
import mqtt from 'mqtt-packet'

export type MqttClientOptions = Readonly<{
  host: string
  port: number
  clientId: string
  username?: string
  password?: string
  /** A loopback address to connect from: more than 28,000 connections need several. */
  localAddress?: string
  keepAliveS?: number
  /** Clean session. False, the default, keeps the session over which we resend (§3.1.2.4). */
  clean?: boolean
  /** QoS 1 messages sent and not acknowledged; more wait in order inside the client. */
  inFlightMax?: number
  /** How long to wait before connecting again; undefined: a lost connection ends the client. */
  reconnect?: Readonly<{ firstMs: number; maxMs: number }>
}>

/** How a client came to its end, or why it is not connected. */
export type ConnectOutcome =
  | { kind: 'connected'; sessionPresent: boolean }
  /** CONNACK with a return code (MQTT 3.1.1 §3.2.2.3): 4 and 5 mean bad or unknown credentials. */
  | { kind: 'refused'; code: number }
  | { kind: 'unreachable'; reason: string }

export type MqttClientCounters = {
  acknowledged: number
  resent: number
  connects: number
  /** PUBACKs that did not follow the order of their PUBLISHes (MQTT-4.6.0-2). */
  acksOutOfOrder: number
  /** PUBACKs for messages that we were not waiting for. */
  acksUnknown: number
}

type Message = {
  topic: string
  payload: Buffer
  id: number
  onAck: (error?: Error) => void
}

const CONNECT_TIMEOUT_MS = 15_000

export class MqttClient {
  readonly counters: MqttClientCounters = {
    acknowledged: 0,
    resent: 0,
    connects: 0,
    acksOutOfOrder: 0,
    acksUnknown: 0,
  }
  readonly #options: MqttClientOptions
  readonly #inFlightMax: number
  /** Sent and not acknowledged, in order of first sending: a Map keeps it. */
  readonly #inFlight = new Map<number, Message>()
  #waiting: Message[] = []
  #socket: Socket | undefined
  #connected = false
  #ended = false
  #nextId = 1
  #backOffMs: number
  #timer: NodeJS.Timeout | undefined
  #pings: NodeJS.Timeout | undefined
  #pingOutstanding = false
  #corked = false
  #onOutcome: (outcome: ConnectOutcome) => void = () => {}

  constructor(options: MqttClientOptions) {
    this.#options = options
    this.#inFlightMax = options.inFlightMax ?? 64
    this.#backOffMs = options.reconnect?.firstMs ?? 0
  }

  get connected(): boolean {
    return this.#connected
  }

  /** Messages not yet acknowledged, sent or waiting. */
  get unacknowledged(): number {
    return this.#inFlight.size + this.#waiting.length
  }

  /** Resolves with the outcome of the first attempt; with `reconnect`, later ones follow by themselves. */
  connect(): Promise<ConnectOutcome> {
    return new Promise((resolve) => {
      this.#onOutcome = resolve
      this.#open()
    })
  }

  /** Resolves at PUBACK (QoS 1) or when handed to the socket (QoS 0); rejects when the client ends. */
  publish(topic: string, payload: Buffer, qos: 0 | 1 = 1): Promise<void> {
    return new Promise((resolve, reject) => {
      this.publishThen({ topic, payload, qos }, (error) => (error ? reject(error) : resolve()))
    })
  }

  /** As publish(), with a callback: no promise per message for generators that send millions. */
  publishThen(
    message: Readonly<{ topic: string; payload: Buffer; qos: 0 | 1 }>,
    onAck: (error?: Error) => void,
  ): void {
    const { topic, payload, qos } = message
    if (this.#ended) return onAck(new Error('the client has ended'))
    if (qos === 0) {
      if (this.#connected)
        this.#write({ cmd: 'publish', topic, payload, qos: 0, dup: false, retain: false })
      return onAck(this.#connected ? undefined : new Error('not connected'))
    }
    const entry: Message = { topic, payload, id: 0, onAck }
    if (this.#connected && this.#waiting.length === 0 && this.#inFlight.size < this.#inFlightMax) {
      this.#send(entry)
    } else {
      this.#waiting.push(entry)
    }
  }

  /** DISCONNECT and close. What is unacknowledged rejects. */
  end(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    const socket = this.#socket
    const closed = new Promise<void>((resolve) => {
      if (socket === undefined || socket.destroyed) return resolve()
      socket.once('close', () => resolve())
      if (!this.#connected) return socket.destroy()
      this.#write({ cmd: 'disconnect' })
      socket.end()
      socket.setTimeout(1000, () => socket.destroy())
    })
    this.#rejectAll(new Error('the client has ended'))
    return closed
  }

  /** Cuts the connection as a dying device would: no DISCONNECT. */
  cut(): void {
    this.#socket?.destroy()
  }

  #rejectAll(error: Error): void {
    const left = [...this.#inFlight.values(), ...this.#waiting]
    this.#inFlight.clear()
    this.#waiting = []
    for (const message of left) message.onAck(error)
  }

  #open(): void {
    const { host, port, localAddress } = this.#options
    const socket = connect({ host, port, noDelay: true, ...(localAddress ? { localAddress } : {}) })
    const parser = mqtt.parser({ protocolVersion: 4 })
    let outcome: ConnectOutcome = { kind: 'unreachable', reason: 'the connection was closed' }
    this.#socket = socket
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(new Error('no CONNACK in time')))
    socket.on('connect', () => this.#write(this.#connectPacket()))
    socket.on('data', (bytes) => parser.parse(bytes))
    socket.on('error', (error) => (outcome = { kind: 'unreachable', reason: error.message }))
    parser.on('error', (error) => socket.destroy(error))
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') {
        const code = packet.returnCode ?? 0
        if (code === 0) return this.#onConnack(packet.sessionPresent)
        outcome = { kind: 'refused', code }
        socket.destroy()
      } else if (packet.cmd === 'puback') this.#onPuback(packet.messageId ?? 0)
      else if (packet.cmd === 'pingresp') this.#pingOutstanding = false
    })
    socket.on('close', () => this.#onClose(outcome))
  }

  #connectPacket(): mqtt.IConnectPacket {
    const { clientId, username, password, clean = false, keepAliveS = 60 } = this.#options
    return {
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: 4,
      clientId,
      clean,
      keepalive: keepAliveS,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password: Buffer.from(password) }),
    }
  }

  #onConnack(sessionPresent: boolean): void {
    this.#connected = true
    this.#socket?.setTimeout(0)
    this.#backOffMs = this.#options.reconnect?.firstMs ?? 0
    this.counters.connects++
    this.#keepAlive()
    for (const message of this.#inFlight.values()) {
      this.counters.resent++
      this.#writePublish(message, true)
    }
    this.#fill()
    this.#settle({ kind: 'connected', sessionPresent })
  }

  #settle(outcome: ConnectOutcome): void {
    const onOutcome = this.#onOutcome
    this.#onOutcome = () => {}
    onOutcome(outcome)
  }

  #keepAlive(): void {
    const keepAliveS = this.#options.keepAliveS ?? 60
    clearInterval(this.#pings)
    this.#pingOutstanding = false
    if (keepAliveS === 0) return
    this.#pings = setInterval(() => {
      if (this.#pingOutstanding) return this.cut()
      this.#pingOutstanding = true
      this.#write({ cmd: 'pingreq' })
    }, keepAliveS * 750)
  }

  #onPuback(id: number): void {
    const message = this.#inFlight.get(id)
    if (message === undefined) {
      this.counters.acksUnknown++
      return
    }
    const oldest = this.#inFlight.keys().next().value
    if (oldest !== id) this.counters.acksOutOfOrder++
    this.#inFlight.delete(id)
    this.counters.acknowledged++
    this.#fill()
    message.onAck()
  }

  #fill(): void {
    while (this.#inFlight.size < this.#inFlightMax) {
      const message = this.#waiting.shift()
      if (message === undefined) return
      this.#send(message)
    }
  }

  #send(message: Message): void {
    do {
      message.id = this.#nextId
      this.#nextId = this.#nextId === 65_535 ? 1 : this.#nextId + 1
    } while (this.#inFlight.has(message.id))
    this.#inFlight.set(message.id, message)
    this.#writePublish(message, false)
  }

  #writePublish({ topic, payload, id }: Message, dup: boolean): void {
    this.#write({ cmd: 'publish', topic, payload, qos: 1, dup, retain: false, messageId: id })
  }

  /** Packets of one turn of the event loop leave in one write. */
  #write(packet: mqtt.Packet): void {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    if (!this.#corked) {
      this.#corked = true
      socket.cork()
      process.nextTick(() => {
        this.#corked = false
        socket.uncork()
      })
    }
    socket.write(mqtt.generate(packet))
  }

  #onClose(outcome: ConnectOutcome): void {
    this.#connected = false
    clearInterval(this.#pings)
    this.#settle(outcome)
    const reconnect = this.#options.reconnect
    if (this.#ended) return
    if (reconnect === undefined) {
      this.#ended = true
      return this.#rejectAll(new Error('the connection was lost'))
    }
    const waitMs = this.#backOffMs * (0.5 + Math.random())
    this.#backOffMs = Math.min(this.#backOffMs * 2, reconnect.maxMs)
    this.#timer = setTimeout(() => this.#open(), waitMs)
  }
}
