/**
 * How an option is spelled outside of the program: `mqttPort` is `--mqtt-port` on the command line
 * and `WEIR_MQTT_PORT` in the environment.
 */

export function flagName(option: string): string {
  return `--${option.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
}

export function envName(option: string): string {
  return `WEIR_${option.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** Both spellings, for sentences that tell a person what to change. */
export function spelledOut(option: string): string {
  return `${flagName(option)} (${envName(option)})`
}
