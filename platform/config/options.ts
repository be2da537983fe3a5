/**
 * Option tables. Each process declares its options once; environment names, flag names, --help,
 * docs/CONFIG.md and the TypeScript type all derive from that table.
 *
 *   mqttPort  ->  WEIR_MQTT_PORT  and  --mqtt-port        (a flag beats the environment)
 */
type Common = Readonly<{ doc: string }>
export type IntegerOption = Common &
  Readonly<{ kind: 'integer'; default: number; min: number; max: number; unit?: string }>
export type TextOption = Common &
  Readonly<{ kind: 'text'; default?: string; secret?: boolean; placeholder?: string }>
export type ListOption = Common & Readonly<{ kind: 'list'; default: readonly string[] }>
export type ChoiceOption = Common &
  Readonly<{ kind: 'choice'; choices: readonly string[]; default: string }>
export type SwitchOption = Common & Readonly<{ kind: 'switch'; default: boolean }>

export type OptionSpec = IntegerOption | TextOption | ListOption | ChoiceOption | SwitchOption
export type OptionTable = Readonly<Record<string, OptionSpec>>

type ValueOf<S extends OptionSpec> = S extends IntegerOption
  ? number
  : S extends ListOption
    ? readonly string[]
    : S extends SwitchOption
      ? boolean
      : S extends ChoiceOption
        ? S['choices'][number]
        : S extends Readonly<{ default: string }>
          ? string
          : string
/** The values of a table. A text option without a default is required. */
export type OptionValues<T extends OptionTable> = { readonly [K in keyof T]: ValueOf<T[K]> }
