// The package ships no types; these are the two functions that the folder lock uses.
declare module "fs-native-extensions" {
  export function tryLock(fd: number, offset?: number, length?: number): boolean;
  export function unlock(fd: number, offset?: number, length?: number): void;
}
