/** Where the dashboard starts: takes the key out of the address, then draws. */
import 'uplot/dist/uPlot.min.css'
import './style/tokens.css'
import './style/shell.css'
import './style/pages.css'
import './style/explanation.css'
import { render } from 'preact'
import { keyInHash } from './address.ts'
import { App } from './app.tsx'
import { storeKey } from './session.ts'
import { applyTheme, storedTheme } from './shell/theme.ts'

const key = keyInHash(location.hash)
if (key !== undefined) {
  storeKey(key)
  // Out of the address and of the history, before anything else can read or record it.
  history.replaceState(null, '', `${location.pathname}${location.search}#/`)
}
applyTheme(storedTheme())
const root = document.getElementById('app')
if (root !== null) render(<App />, root)
