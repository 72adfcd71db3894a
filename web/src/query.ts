import { Failure } from './error.ts'

type Test = (actual: any, wanted: any) => boolean

const tests: Record<string, Test> = {
  $eq: (actual, wanted) => same(actual, wanted),
  $ne: (actual, wanted) => !same(actual, wanted),
  $gt: (actual, wanted) => actual > wanted,
  $gte: (actual, wanted) => actual >= wanted,
  $lt: (actual, wanted) => actual < wanted,
  $lte: (actual, wanted) => actual <= wanted,
  $in: (actual, wanted) => wanted.some((one: unknown) => same(actual, one)),
  $exists: (actual, wanted) => (actual !== undefined) === wanted,
  $startsWith: (actual, wanted) => typeof actual === 'string' && actual.startsWith(wanted),
}

/** What tells whether a value fits a query, as GenosDB writes it. Throws `unsupported`. */
export function compile(query: Record<string, any>): (value: any) => boolean {
  const parts = Object.entries(query).map(([key, wanted]): ((value: any) => boolean) => {
    if (key === '$not') {
      const part = compile(wanted)
      return (value) => !part(value)
    }
    if (key === '$and' || key === '$or') {
      const all = (wanted as any[]).map(compile)
      return key === '$and' ? (value) => all.every((part) => part(value)) : (value) => all.some((part) => part(value))
    }
    if (key.startsWith('$')) throw unsupported(key)
    const operators: [string, unknown][] = isMap(wanted) ? Object.entries(wanted) : [['$eq', wanted]]
    for (const [operator] of operators) if (!tests[operator]) throw unsupported(operator)
    return (value) => operators.every(([operator, wanted]) => tests[operator]!(isMap(value) ? value[key] : undefined, wanted))
  })
  return (value) => parts.every((part) => part(value))
}

export function unsupported(what: string): Failure {
  return new Failure('unsupported', `map: ${what} is GenosDB's alone`)
}

function isMap(value: unknown): value is Record<string, any> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b))
}
