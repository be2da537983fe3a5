/** Typed arrays that grow: the next larger one holds what the smaller one held. */
type Column = Float64Array | Uint32Array | Uint16Array | Int16Array | Uint8Array

export function widened<A extends Column>(column: A, needed: number): A {
  if (needed <= column.length) return column
  // Of the same kind as the column that it replaces.
  const wider = new (column.constructor as new (length: number) => A)(
    Math.max(needed, column.length * 2),
  )
  wider.set(column)
  return wider
}
