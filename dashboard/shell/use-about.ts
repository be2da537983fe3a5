/** What the api says of itself, asked once by whoever shows it. */
import { useEffect, useState } from 'preact/hooks'
import type { About } from '../../api/contract/resources.ts'
import type { ApiClient } from '../api-client.ts'

/** undefined until it is known; a page that needs it has words for that too. */
export function useAbout(api: ApiClient): About | undefined {
  const [about, setAbout] = useState<About>()
  useEffect(() => {
    let current = true
    void api.about().then((answer) => {
      if (current && answer.kind === 'ok') setAbout(answer.value)
    })
    return () => {
      current = false
    }
  }, [api])
  return about
}
