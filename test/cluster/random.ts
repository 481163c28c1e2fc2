import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

/** Choices that a seed determines, so that a run can be repeated. */
export interface Random {
  /** A whole number from `least` to `most`. */
  readonly int: (least: number, most: number) => number;
  /** True as often as this, from 0 to 1. */
  readonly chance: (probability: number) => boolean;
  readonly pick: <Item>(items: readonly Item[]) => Item;
  readonly shuffle: <Item>(items: readonly Item[]) => Item[];
  /** Choices of its own, so that what one part of a run does leaves those of the others alone. */
  readonly fork: () => Random;
}

export function createRandom(seed: number): Random {
  const generator = xoroshiro128plus(seed);
  const int = (least: number, most: number) => uniformInt(generator, least, most);
  function pick<Item>(items: readonly Item[]): Item {
    return items[int(0, items.length - 1)] as Item;
  }
  return {
    int,
    pick,
    chance: (probability) => int(1, 1_000_000) <= probability * 1_000_000,
    shuffle<Item>(items: readonly Item[]): Item[] {
      const shuffled = [...items];
      for (let last = shuffled.length - 1; last > 0; last--) {
        const other = int(0, last);
        [shuffled[last], shuffled[other]] = [shuffled[other] as Item, shuffled[last] as Item];
      }
      return shuffled;
    },
    fork: () => createRandom(int(1, 2_147_483_647)),
  };
}
