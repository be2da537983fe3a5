/** `npm run bench`, `loadtest` and `audit`: prepares the checkout, then runs that command of `weir`. */
import { prepareOrExit } from './prepare.mjs'

prepareOrExit()
await import('../dist/cli/weir.js')
