/** What the processes of a role are called: by their role alone where there is one. */
export function processNames(role: string, count: number): readonly string[] {
  if (count === 1) return [role]
  return Array.from({ length: count }, (_, n) => `${role}-${n + 1}`)
}
