/** A button that copies a text and says that it did. */
import { useState } from 'preact/hooks'

export function CopyButton({ label, text }: { label: string; text: () => string }) {
  const [said, setSaid] = useState('')
  const copy = async () => {
    const worked = await copyText(text())
    setSaid(worked ? 'Copied' : 'Not permitted')
    setTimeout(() => setSaid(''), 2000)
  }
  return (
    <button type="button" class="button" onClick={() => void copy()}>
      <span aria-live="polite">{said === '' ? label : said}</span>
    </button>
  )
}

/** The clipboard needs a secure origin; over plain HTTP from another host the old way remains. */
async function copyText(text: string): Promise<boolean> {
  if (window.isSecureContext) {
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    )
  }
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  const worked = document.execCommand('copy')
  area.remove()
  return worked
}
