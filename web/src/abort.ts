/**
 * What settles a promise: with an error it rejects. Until then `abort` is called, with the reason,
 * when the signal is aborted; a signal may live much longer.
 */
export function onAbort(
  signal: AbortSignal | undefined,
  abort: (reason: unknown) => void,
  resolve: () => void,
  reject: (error: unknown) => void,
): (error?: unknown) => void {
  const aborted = () => abort(signal!.reason)
  signal?.addEventListener('abort', aborted)
  return (error) => {
    signal?.removeEventListener('abort', aborted)
    if (error === undefined) resolve()
    else reject(error)
  }
}
