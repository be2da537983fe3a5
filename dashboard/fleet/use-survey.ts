/** The survey as state: the lists behind it are asked for now and then, all pages up to a bound. */
import { useEffect, useState } from 'preact/hooks'
import type { ApiClient } from '../api-client.ts'
import { nowMs } from '../clock.ts'
import { type ListedDevice, type Survey, surveyOf } from './survey.ts'

const PAGE_DEVICES = 500
/** Asking for more would cost the api more than the answer is worth to one screen. */
const PAGES_MAX = 4
export const SURVEYED_MAX = PAGE_DEVICES * PAGES_MAX
const REST_MS = 15_000

type Asked = Readonly<{
  query: string
  reconnects: number
  /** Where the live feed ended, devices are counted as they were then. */
  toldUntilMs: number | undefined
}>

/** undefined until the first one is complete; a failed one leaves the last as it is. */
export function useSurvey(
  api: ApiClient,
  { query, reconnects, toldUntilMs }: Asked,
): Survey | undefined {
  const [survey, setSurvey] = useState<Survey>()
  useEffect(() => setSurvey(undefined), [api, query])
  useEffect(() => {
    let current = true
    let timer: ReturnType<typeof setTimeout> | undefined
    const take = async () => {
      const taken = await surveyFleet(api, query, toldUntilMs)
      if (!current) return
      if (taken !== undefined) setSurvey(taken)
      timer = setTimeout(() => void take(), REST_MS)
    }
    void take()
    return () => {
      current = false
      clearTimeout(timer)
    }
  }, [api, query, reconnects, toldUntilMs])
  return survey
}

async function surveyFleet(
  api: ApiClient,
  query: string,
  asOfMs: number | undefined,
): Promise<Survey | undefined> {
  const devices: ListedDevice[] = []
  let cursor = ''
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await api.devices({ query, cursor, limit: PAGE_DEVICES })
    if (answer.kind !== 'ok') return undefined
    devices.push(...answer.value.items)
    if (answer.value.next === null) return surveyOf(devices, true, asOfMs ?? nowMs())
    cursor = answer.value.next
  }
  return surveyOf(devices, false, asOfMs ?? nowMs())
}
