/**
 * What the series of all targets may take of the process' memory, and each namespace's share of it.
 *
 * Pages come from tenants' pods, so one tenant decides how much a page makes the scaler keep. Two rules
 * keep others out of it: a namespace has a share, and when the process is full the namespace that uses
 * most gives way to one that uses less. A page that is refused was parsed in vain, so after a refusal
 * the namespace's further targets are read one at a time, and none once one of these was refused too.
 *
 * @module
 */
import type { Clock } from "#core/clock.ts";
import { Fault } from "#core/fault.ts";
import { engineRoomMs } from "#core/limits.ts";

interface MemoryBudgetOptions {
  readonly clock: Clock;
  readonly bytesMax: number;
  /** Of these, a namespace's. */
  readonly shareBytesMax: number;
}

/** What one target keeps. */
export interface MemoryUse {
  /**
   * Before a page is read.
   *
   * @throws {Fault} `overloaded` when the page would hardly fit.
   */
  readonly begin: () => void;
  /**
   * Says that the target keeps so much more.
   *
   * @throws {Fault} `overloaded` when that is more than there is. Nothing is kept from then on, and
   *   every further call throws.
   */
  readonly add: (bytes: number) => void;
  /** Says what the target keeps altogether, now that the page is read. Throws as `add` does. */
  readonly set: (bytes: number) => void;
  /** Says that the target keeps no more than so much, because the page was not read. */
  readonly shrink: (bytes: number) => void;
  /** Gives all of it back. */
  readonly end: () => void;
}

export interface MemoryBudget {
  /** @param evicted The target has to let go of all that it keeps, and to say `fault` for it. */
  readonly open: (namespace: string, evicted: (fault: Fault) => void) => MemoryUse;
}

interface MemoryAccount {
  bytes: number;
  /** Whether a page of it was kept. */
  isSettled: boolean;
  /** Why nothing may be added any more. */
  ended: Fault | undefined;
  readonly evicted: (fault: Fault) => void;
}

interface NamespaceAccounts {
  readonly namespace: string;
  readonly accounts: Set<MemoryAccount>;
  bytes: number;
  /** The last time that something did not fit. */
  refusal: RoomRefusal | undefined;
}

interface RoomRefusal {
  readonly fault: Fault;
  readonly untilMs: number;
  /** Whether to try one target that keeps nothing yet. */
  mayTry: boolean;
  /** The one that is tried. */
  trial: MemoryAccount | undefined;
}

export function memoryBudget(options: MemoryBudgetOptions): MemoryBudget {
  const { clock, bytesMax, shareBytesMax } = options;
  const ledger: Ledger = { clock, namespaces: new Map(), bytes: 0 };

  /** Takes from the namespace that uses most until `bytes` more of this one fit. */
  const makeRoom = (of: NamespaceAccounts, bytes: number): boolean => {
    while (ledger.bytes + bytes > bytesMax) {
      const largest = mostBytes(ledger.namespaces.values());
      const account = largest && mostBytes(largest.accounts);
      if (largest === undefined || account === undefined) return false;
      if (largest.bytes <= of.bytes + bytes) return false;
      const fault = full(largest, bytesMax);
      refuse(ledger, largest, account, fault).mayTry = false;
      account.evicted(fault);
    }
    return true;
  };

  const problemOf = (of: NamespaceAccounts, bytes: number): Fault | undefined => {
    if (of.bytes + bytes > shareBytesMax) return shareUsed(of, shareBytesMax);
    return makeRoom(of, bytes) ? undefined : full(of, bytesMax);
  };

  const add = (of: NamespaceAccounts, account: MemoryAccount, bytes: number): void => {
    if (account.ended !== undefined) throw account.ended;
    checkTurn(of, account, clock);
    const problem = bytes > 0 ? problemOf(of, bytes) : undefined;
    if (problem !== undefined) {
      refuse(ledger, of, account, problem);
      throw problem;
    }
    change(ledger, of, account, bytes);
  };

  return {
    open: (namespace, evicted) => {
      const of = accountsOf(ledger, namespace);
      const account: MemoryAccount = { bytes: 0, isSettled: false, ended: undefined, evicted };
      of.accounts.add(account);
      return {
        begin: () => beginTurn(of, account, clock),
        add: (bytes) => add(of, account, bytes),
        set: (bytes) => {
          add(of, account, bytes - account.bytes);
          account.isSettled = true;
          endTrial(of, account);
        },
        shrink: (bytes) => {
          change(ledger, of, account, Math.min(0, bytes - account.bytes));
          endTrial(of, account);
        },
        end: () => close(ledger, of, account, released(of.namespace)),
      };
    },
  };
}

interface Ledger {
  readonly clock: Clock;
  readonly namespaces: Map<string, NamespaceAccounts>;
  bytes: number;
}

function accountsOf({ namespaces, clock }: Ledger, namespace: string): NamespaceAccounts {
  for (const [name, of] of namespaces)
    if (of.accounts.size === 0 && refusalOf(of, clock) === undefined) namespaces.delete(name);
  const known = namespaces.get(namespace);
  const of = known ?? { namespace, accounts: new Set(), bytes: 0, refusal: undefined };
  namespaces.set(namespace, of);
  return of;
}

function change(
  ledger: Ledger,
  of: NamespaceAccounts,
  account: MemoryAccount,
  bytes: number,
): void {
  account.bytes += bytes;
  of.bytes += bytes;
  ledger.bytes += bytes;
  // What a trial gives back was there for it, and was not enough.
  if (bytes < 0 && of.refusal !== undefined && of.refusal.trial !== account)
    of.refusal.mayTry = true;
}

function close(ledger: Ledger, of: NamespaceAccounts, account: MemoryAccount, why: Fault): void {
  if (account.ended !== undefined) return;
  account.ended = why;
  change(ledger, of, account, -account.bytes);
  endTrial(of, account);
  of.accounts.delete(account);
}

function refuse(
  ledger: Ledger,
  of: NamespaceAccounts,
  account: MemoryAccount,
  fault: Fault,
): RoomRefusal {
  const { clock } = ledger;
  const earlier = refusalOf(of, clock);
  const refusal: RoomRefusal = {
    fault,
    untilMs: clock.monotonicMs() + engineRoomMs,
    mayTry: earlier === undefined,
    trial: earlier?.trial,
  };
  of.refusal = refusal;
  close(ledger, of, account, fault);
  return refusal;
}

/** Where the namespace was refused something, one target at a time that keeps nothing yet. */
function beginTurn(of: NamespaceAccounts, account: MemoryAccount, clock: Clock): void {
  if (account.ended !== undefined) throw account.ended;
  const refusal = refusalOf(of, clock);
  if (refusal?.mayTry && refusal.trial === undefined && !account.isSettled) refusal.trial = account;
  checkTurn(of, account, clock);
}

function endTrial({ refusal }: NamespaceAccounts, account: MemoryAccount): void {
  if (refusal?.trial === account) refusal.trial = undefined;
}

/** The refusal that still counts. */
function refusalOf(of: NamespaceAccounts, clock: Clock): RoomRefusal | undefined {
  if (of.refusal !== undefined && clock.monotonicMs() >= of.refusal.untilMs) of.refusal = undefined;
  return of.refusal;
}

function checkTurn(of: NamespaceAccounts, account: MemoryAccount, clock: Clock): void {
  const refusal = refusalOf(of, clock);
  if (refusal !== undefined && !account.isSettled && refusal.trial !== account) throw refusal.fault;
}

function mostBytes<Entry extends { readonly bytes: number }>(
  entries: Iterable<Entry>,
): Entry | undefined {
  let most: Entry | undefined;
  for (const entry of entries) if (entry.bytes > (most?.bytes ?? 0)) most = entry;
  return most;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

const remedy =
  "ask for fewer signals or shorter windows there, have its engines print fewer series, or scale on fewer pods";

function shareUsed({ namespace, bytes }: NamespaceAccounts, limit: number): Fault {
  return new Fault(
    "overloaded",
    `Cannot keep more series of namespace ${namespace}: those of its engines take ${mebibytes(bytes)} of the ${mebibytes(limit)} that a namespace may; ${remedy}`,
    { limit },
  );
}

function full({ namespace, bytes }: NamespaceAccounts, limit: number): Fault {
  return new Fault(
    "overloaded",
    `Cannot keep more series of namespace ${namespace}: all engines' take the ${mebibytes(limit)} that there are, of which its own take ${mebibytes(bytes)}; ${remedy}`,
    { limit },
  );
}

function released(namespace: string): Fault {
  return new Fault(
    "overloaded",
    `Cannot keep series of namespace ${namespace}: nothing reads their engine any more; read it again`,
    { limit: 0 },
  );
}
