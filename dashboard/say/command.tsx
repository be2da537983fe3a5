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
