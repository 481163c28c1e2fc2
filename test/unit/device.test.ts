import { expect, test } from "vitest";
import { deviceName } from "../../src/sessions/device.ts";

test.each([
  [null, "Unknown device"],
  ["", "Unknown device"],
  ["curl/8.5.0", "curl"],
  ["node", "Unknown device"],
  ["\n", "Unknown device"],
  [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Safari on iOS",
  ],
  ["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
  [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Microsoft Edge on Windows",
  ],
])("the user agent %.40j is %s", (userAgent, device) => {
  expect(deviceName(userAgent)).toBe(device);
});
