/** Who may do what: three roles, and the least role that each permission takes. */
export const ROLES = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof ROLES)[number]

const LEAST_ROLE = {
  'telemetry:read': 'viewer',
  'devices:read': 'viewer',
  'devices:write': 'operator',
  'credentials:read': 'operator',
  'credentials:write': 'operator',
  'audit:read': 'viewer',
  'keys:read': 'admin',
  'keys:write': 'admin',
  'changes:read': 'admin',
} as const satisfies Readonly<Record<string, Role>>

export type Permission = keyof typeof LEAST_ROLE
export const PERMISSIONS = Object.keys(LEAST_ROLE).filter(isPermission)

/** What somebody was given. */
export type Grant = Readonly<{
  role: Role
  /** Undefined: all that the role may do. Naming more than that gives no more. */
  scopes: readonly Permission[] | undefined
}>

/** Somebody who was recognised. */
export type Principal = Grant &
  Readonly<{
    tenant: string
    /** As changes are signed: `key:NAME`. */
    name: string
  }>

export function isPermission(text: string): text is Permission {
  return Object.hasOwn(LEAST_ROLE, text)
}

export const isRole = (text: string): text is Role => ROLES.some((role) => role === text)

export function mayDo({ role, scopes }: Grant, permission: Permission): boolean {
  if (ROLES.indexOf(role) < ROLES.indexOf(LEAST_ROLE[permission])) return false
  return scopes === undefined || scopes.includes(permission)
}

/** Whether nothing is in the second that is not in the first: nobody gives what they do not have. */
export const covers = (mine: Grant, given: Grant): boolean =>
  PERMISSIONS.every((permission) => !mayDo(given, permission) || mayDo(mine, permission)) &&
  ROLES.indexOf(given.role) <= ROLES.indexOf(mine.role)
