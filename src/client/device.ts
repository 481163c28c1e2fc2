/** Hears of the device's comings and goings; gives back what ends that. Only in a page. */
export function watchDevice({
  onBack,
  onReturn,
}: {
  /** The network is back. */
  readonly onBack: () => void;
  /** The page is looked at again, after so many milliseconds. */
  readonly onReturn: (awayMs: number) => void;
}): () => void {
  let leftAt = Date.now();
  const onVisibility = () => {
    if (document.visibilityState === "hidden") leftAt = Date.now();
    else onReturn(Date.now() - leftAt);
  };
  const onPageShow = (event: PageTransitionEvent) => {
    // From the back/forward cache: its timers and sockets stood still.
    if (event.persisted) onReturn(Number.POSITIVE_INFINITY);
  };
  window.addEventListener("online", onBack);
  window.addEventListener("pageshow", onPageShow);
  document.addEventListener("visibilitychange", onVisibility);
  return () => {
    window.removeEventListener("online", onBack);
    window.removeEventListener("pageshow", onPageShow);
    document.removeEventListener("visibilitychange", onVisibility);
  };
}
