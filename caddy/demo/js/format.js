// Numbers as people read them.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' })

export const time = (date) => clock.format(date)

export const percent = (fraction) => `${Math.round(fraction * 100)} %`

export function bytes(count) {
  if (count < 1000) return `${count} B`
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)} kB`
  return `${(count / 1_000_000).toFixed(1)} MB`
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`
