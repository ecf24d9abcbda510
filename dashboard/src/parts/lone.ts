// Samples that no line goes through: a line alone would not show them.

/** The places from `from` to `to`, both included, of values that have none beside them. */
export function lonePlaces(values: ArrayLike<number | null | undefined>, from: number, to: number): number[] {
  const isThere = (place: number) => values[place] !== null && values[place] !== undefined;
  const lone: number[] = [];
  for (let place = from; place <= to; place += 1) {
    if (isThere(place) && !isThere(place - 1) && !isThere(place + 1)) lone.push(place);
  }
  return lone;
}
