/** Asks for an API key and tries it before it is kept. What was typed stays when it fails. */
import { useState } from 'preact/hooks'
import { createApiClient } from '../api-client.ts'

export function SignIn({ onKey }: { onKey: (key: string) => void }) {
  const [key, setKey] = useState('')
  const [problem, setProblem] = useState('')
  const [busy, setBusy] = useState(false)

  const submit = async (event: Event) => {
    event.preventDefault()
    setBusy(true)
    setProblem(await problemWith(key.trim()))
    setBusy(false)
  }
  const problemWith = async (tried: string): Promise<string> => {
    if (tried === '') return 'Enter a key first.'
    const answer = await createApiClient(location.origin, tried).devices({
      query: '',
      cursor: '',
      limit: 1,
    })
    switch (answer.kind) {
      case 'ok':
        onKey(tried)
        return ''
      case 'problem':
        return answer.problem.status === 401
          ? 'This key is not known here. Check that it was copied whole.'
          : `${answer.problem.title}. ${answer.problem.detail}`
      case 'unreachable':
        return `The server does not answer (${answer.detail}).`
      case 'aborted':
        return ''
    }
  }

  return (
    <main class="sign-in">
      <h1>Weir</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label for="key">API key</label>
        <input
          id="key"
          type="password"
          autocomplete="off"
          autofocus
          spellcheck={false}
          value={key}
          aria-invalid={problem !== ''}
          aria-describedby="key-help"
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <p id="key-help" class="muted">
          <code>npm start</code> prints an address that already carries one. It stays in this tab
          only.
        </p>
        {problem === '' ? null : (
          <p class="bad" role="alert">
            {problem}
          </p>
        )}
        <button type="submit" class="button primary" disabled={busy}>
          {busy ? 'Checking …' : 'Sign in'}
        </button>
      </form>
    </main>
  )
}
