/**
 * check runs one named check of a scenario, as a subtest with a line of its own; unlike a plain
 * subtest, it ends the scenario when it fails.
 */
export async function check(t, name, run) {
  let failed = false
  let result
  await t.test(name, async () => {
    failed = true
    result = await run()
    failed = false
  })
  if (failed) throw new Error(`because of: ${name}`)
  return result
}
