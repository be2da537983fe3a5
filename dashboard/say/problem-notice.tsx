/** What went wrong, why, its code, and what to do next. */
import type { Answer } from '../api-client.ts'

export type Trouble = Exclude<Answer<never>, { kind: 'ok' } | { kind: 'aborted' }>

export function ProblemNotice({ trouble, onRetry }: { trouble: Trouble; onRetry: () => void }) {
  const { title, detail, code, next } = wordsOf(trouble)
  return (
    <div class="notice" role="alert">
      <h1>{title}</h1>
      <p>{detail}</p>
      <p class="muted">
        {next} {code === '' ? null : <code>{code}</code>}
      </p>
      <button type="button" class="button" onClick={onRetry}>
        Try again
      </button>
    </div>
  )
}

type Words = { title: string; detail: string; code: string; next: string }

function wordsOf(trouble: Trouble): Words {
  if (trouble.kind === 'unreachable') {
    return {
      title: 'The server does not answer',
      detail: `The request did not get through (${trouble.detail}).`,
      code: '',
      next: 'Check the network, and that the api process runs: GET /healthz on its admin port.',
    }
  }
  const { title, detail, code, status } = trouble.problem
  return { title, detail, code, next: nextStep(status) }
}

function nextStep(status: number): string {
  if (status === 401) return 'Sign out and sign in with a key that is valid.'
  if (status === 403) return 'Ask whoever gave you the key for one that permits this.'
  if (status === 404) return 'Check the address, or search for the device in the fleet.'
  if (status === 503) return 'A part behind the api is away; readings are kept meanwhile.'
  return 'If it stays, report the code with the time it happened.'
}
