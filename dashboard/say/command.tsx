/** A command to paste, with a button that copies it. */
import { CopyButton } from './copy-button.tsx'

export function Command({ label, text }: { label: string; text: string }) {
  return (
    <figure class="command">
      <figcaption>{label}</figcaption>
      <pre tabIndex={0} aria-label={label}>
        <code>{text}</code>
      </pre>
      <CopyButton label="Copy" text={() => text} />
    </figure>
  )
}

/** The two commands from nothing to a first reading, against the host this page came from. */
export const createDeviceCommand = (id: string): string =>
  `curl -X POST ${location.origin}/v1/devices \\\n  -H "authorization: Bearer $WEIR_KEY" \\\n` +
  `  -H 'content-type: application/json' \\\n  -d '{"id":"${id}"}'`

export const publishCommand = (): string =>
  `mosquitto_pub -h ${location.hostname} -p 1883 -q 1 \\\n` +
  `  -u USERNAME -P SECRET \\\n  -t t -m '{"temperature":21.5}'`
