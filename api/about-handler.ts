/** GET /v1/about: which program this is, and where devices find it. */
import type { ApiParts } from './api-parts.ts'
import type { Reply } from './route.ts'

export const getAbout = async ({ about }: ApiParts): Promise<Reply> => ({
  status: 200,
  body: about,
})
