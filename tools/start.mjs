/**
 * `npm start`: prepares the checkout, then runs the local system in this very process, so that
 * Ctrl-C reaches it. package.json starts it with `exec`: a shell in between would die of the
 * signal, and npm would report that instead of our exit code 0.
 */
import { prepareOrExit } from './prepare.mjs'

prepareOrExit()
const { main } = await import('../dist/local/main.js')
process.exit(await main(process.argv.slice(2), process.env))
