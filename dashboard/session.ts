/** Where the API key is kept while this tab lives: never in the address, never beyond the tab. */
const NAME = 'weir.key'

export const storedKey = (): string => sessionStorage.getItem(NAME) ?? ''
export const storeKey = (key: string): void => sessionStorage.setItem(NAME, key)
export const forgetKey = (): void => sessionStorage.removeItem(NAME)
