import type { TracedOperation } from '../events/index.js';
import type { ValuesMode } from '../config/index.js';
import type { ReadAhead } from '../local/index.js';
import type { LoaderTimeoutError } from '../errors/index.js';
import type { WaitedLoad } from './loader-run.js';
import type { FoundEntry, LoadOutcome } from './outcomes.js';
import type { ValueCheck } from './value-check.js';

/** The facts of a load that its options decide. */
export interface LoadFacts {
  /** The longest wait of other calls for the load, in milliseconds. */
  readonly loadLifeMs: number;
  readonly check: ValueCheck;
  /** The mode of its call; absent: that of the namespace. */
  readonly values: ValuesMode | undefined;
  /** The tags that the result will carry, as far as they are known. */
  readonly tags: readonly string[];
}

const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * One piece of work on one key in this process: a read of Redis, a load, or a write.
 *
 * A change of the key during the work taints or supersedes it. The calls that wait still get the result, and L1 does
 * not keep it.
 */
export class Flight implements WaitedLoad {
  /** `namespace:key`, for error messages. */
  label = '';
  /** Its loader run as it is traced; absent: it is not. */
  traced: TracedOperation | undefined;
  /** Of a read that no caller has asked for. */
  ahead: ReadAhead | undefined;
  private outcome: Promise<LoadOutcome> | undefined;
  private settling: { resolve(outcome: LoadOutcome): void; reject(error: unknown): void } | undefined;
  private joinedOutcome: Promise<LoadOutcome> | undefined;
  private awaitedLoads: Set<WaitedLoad> | undefined;
  private change: 'none' | 'doubted' | 'tainted' | 'superseded' = 'none';
  /** How long the load has waited for loads of other processes, in milliseconds. */
  remoteWaitMs = 0;
  private step: 'reading' | 'waiting' | 'loading' | 'storing' = 'reading';
  private facts: LoadFacts | undefined;
  private addedTags = NO_TAGS;
  private startedAtMs: number | undefined;
  private queueMs = 0;
  private isInQueue = false;
  private hasLease = true;
  private staleValue: FoundEntry | undefined;
  private timeout: LoaderTimeoutError | undefined;
  private isCallerGone = false;
  private goneReason: unknown;
  private abandonment: { readonly reason: unknown } | undefined;
  private abortLoader: ((reason: unknown) => void) | undefined;
  /** The calls that wait and may end by their signals. */
  private signalledCalls = 0;
  private hasCallWithoutSignal = false;
  private backgroundWork: Promise<unknown> | undefined;

  /** Of a load that is settled from outside, the promise is made when it is asked for: as a rule it never is. */
  get result(): Promise<LoadOutcome> {
    this.outcome ??= new Promise((resolve, reject) => (this.settling = { resolve, reject }));
    return this.outcome;
  }

  /** The promise that joined calls wait for: the result, unless the load lasts too long; absent before the first. */
  get joined(): Promise<LoadOutcome> | undefined {
    return this.joinedOutcome;
  }

  get waitsFor(): ReadonlySet<WaitedLoad> | undefined {
    return this.awaitedLoads;
  }

  /** Whether the key has changed, or may have, since the work began. */
  get isTainted(): boolean {
    return this.change !== 'none';
  }

  /** Whether it is only tainted by what may be an own change from before: a load may be stored if Redis has seen none. */
  get isDoubted(): boolean {
    return this.change === 'doubted';
  }

  /** Whether this process itself changed the key later: a write that has not been sent yet must not be sent. */
  get isSuperseded(): boolean {
    return this.change === 'superseded';
  }

  get phase(): Flight['step'] {
    return this.step;
  }

  /** Whether the load only waits for another process to fill the key: it has read nothing that could be outdated. */
  get isWaiting(): boolean {
    return this.step === 'waiting';
  }

  /** Whether the loader runs, which may add tags: until it ends, {@link tags} may be incomplete. */
  get isLoading(): boolean {
    return this.step === 'loading';
  }

  /** Whether the loader runs, or has ended and its result is being stored. */
  get hasRunLoader(): boolean {
    return this.step === 'loading' || this.step === 'storing';
  }

  /** Whether the load runs without a lease, because Redis could not be asked. */
  get isUnleased(): boolean {
    return !this.hasLease;
  }

  get check(): ValueCheck | undefined {
    return this.facts?.check;
  }

  get values(): ValuesMode | undefined {
    return this.facts?.values;
  }

  get tags(): readonly string[] {
    const tags = this.facts?.tags ?? NO_TAGS;
    return this.addedTags.length === 0 ? tags : [...tags, ...this.addedTags];
  }

  /** The longest wait of other calls for the load, in milliseconds. */
  get loadLifeMs(): number {
    return (this.facts?.loadLifeMs ?? 0) + this.queueMs;
  }

  get loadingSinceMs(): number | undefined {
    return this.startedAtMs;
  }

  /** How long the loader has run, or the load has waited for another process, in milliseconds. */
  get elapsedMs(): number {
    return this.startedAtMs === undefined ? 0 : performance.now() - this.startedAtMs;
  }

  /**
   * Whether the loader has run for longer than other calls may wait, and than its lease may be held. The wait for
   * another process is limited by the lease of that process.
   */
  get isOutlived(): boolean {
    return this.startedAtMs !== undefined && !this.isWaiting && !this.isInQueue && this.elapsedMs >= this.loadLifeMs;
  }

  /** The stale value that replaces the result after a timeout. */
  get stale(): FoundEntry | undefined {
    return this.staleValue;
  }

  /**
   * The error with which the load ended, at the `hardTimeout` of the call that began it. It concerns that call
   * alone.
   */
  get timeoutError(): LoaderTimeoutError | undefined {
    return this.timeout;
  }

  /** Whether no call waits for the load any more. */
  get isAbandoned(): boolean {
    return this.abandonment !== undefined || (this.isCallerGone && this.joinedOutcome === undefined);
  }

  /** Starts the load whose outcome is {@link result}. */
  start(load: (flight: Flight) => Promise<LoadOutcome>): void {
    this.outcome = load(this);
  }

  /** Ends a load that has not been {@link start}ed, but is one of a batch. */
  settle(outcome: LoadOutcome): void {
    this.settling?.resolve(outcome);
  }

  /** As {@link settle}, with the error of the loader. */
  fail(error: unknown): void {
    this.settling?.reject(error);
  }

  /** The first call joins: this call and later ones wait for `outcome`. */
  joinAs(outcome: Promise<LoadOutcome>): Promise<LoadOutcome> {
    this.joinedOutcome = outcome;
    return outcome;
  }

  waitFor(load: WaitedLoad): void {
    this.awaitedLoads ??= new Set();
    this.awaitedLoads.add(load);
  }

  endWaitFor(load: WaitedLoad): void {
    this.awaitedLoads?.delete(load);
  }

  describe(label: string, facts: LoadFacts): void {
    this.label = label;
    this.facts = facts;
  }

  /** The key has changed, or may have. @param change `doubted`: perhaps before the work began, see {@link isDoubted} */
  taint(change: 'tainted' | 'doubted' = 'tainted'): void {
    if (this.change === 'none' || this.change === 'doubted') {
      this.change = change;
    }
  }

  /** This process has changed the key. */
  supersede(): void {
    this.change = 'superseded';
  }

  /** The work begins only now: earlier changes do not count. */
  restart(): void {
    this.change = 'none';
  }

  /** The load waits for another process's load of the key. */
  beginRemoteWait(): void {
    this.startedAtMs ??= performance.now();
    this.step = 'waiting';
  }

  /** @param waitedMs how long this wait has taken */
  endRemoteWait(waitedMs: number): void {
    this.step = 'reading';
    this.remoteWaitMs += waitedMs;
  }

  /** The load has found no value to return, and runs its loader next. */
  beginLoad(hasLease: boolean, stale: FoundEntry | undefined): void {
    this.step = 'loading';
    this.hasLease = hasLease;
    this.staleValue = stale;
  }

  /**
   * The loader starts.
   * @param abort aborts its signal, once no call waits for the load any more
   * @returns the time that the load has waited for another process before, in milliseconds
   */
  startLoader(abort: (reason: unknown) => void): number {
    this.abortLoader = abort;
    if (this.abandonment !== undefined) {
      abort(this.abandonment.reason);
    }
    const nowMs = performance.now();
    this.startedAtMs ??= nowMs;
    return nowMs - this.startedAtMs;
  }

  stopLoader(): void {
    this.startedAtMs = undefined;
  }

  /** The value of the loader is stored next. */
  beginStoring(addedTags: readonly string[]): void {
    this.step = 'storing';
    this.addedTags = addedTags;
  }

  /** The load waits for the others of its batch: that time does not count as its loader's. */
  enterQueue(): void {
    this.isInQueue = true;
  }

  leaveQueue(): void {
    this.isInQueue = false;
    this.queueMs += this.elapsedMs;
  }

  /** The load ends with the timeout of the call that began it. */
  endByTimeout(error: LoaderTimeoutError): void {
    this.timeout = error;
  }

  /** A call waits for the load, until the load or the signal ends it. Without a call the load is for its own sake. */
  addCall(signal: AbortSignal | undefined): void {
    if (signal === undefined) {
      this.hasCallWithoutSignal = true;
    } else {
      this.signalledCalls++;
    }
  }

  /** A call has ended by its signal. @returns whether no call waits for the load any more */
  removeCall(): boolean {
    this.signalledCalls--;
    return this.signalledCalls === 0 && !this.hasCallWithoutSignal;
  }

  /** No call waits for the load any more: its loader is aborted, and a result is not kept. */
  abandon(reason: unknown): void {
    this.abandonment = { reason };
    this.taint();
    this.abortLoader?.(reason);
  }

  /**
   * The call that began the load no longer waits for it.
   * @param reason the reason of its signal, when that has ended it
   */
  onCallerGone(reason: unknown): void {
    this.isCallerGone = true;
    this.goneReason = reason;
  }

  /** Whether the loader has thrown the reason of the signal of the call that began the load. */
  hasEndedWithCaller(error: unknown): boolean {
    return this.goneReason !== undefined && this.goneReason === error;
  }

  /** The result is there, and `work` goes on: until it has ended, the flight can be tainted. */
  continueInBackground(work: Promise<unknown>): void {
    this.backgroundWork = work;
  }

  /** The work that goes on after the result, once. */
  takeBackgroundWork(): Promise<unknown> | undefined {
    const { backgroundWork } = this;
    this.backgroundWork = undefined;
    return backgroundWork;
  }
}

/** A read of several keys. One object records the changes of all of them: as a rule there are none. */
export class GroupRead {
  private readonly tainted = new Set<string>();
  private areAllTainted = false;
  private index: ReadonlySet<string> | undefined;

  constructor(private readonly keys: readonly string[]) {}

  taint(key: string): void {
    this.index ??= new Set(this.keys);
    if (this.index.has(key)) {
      this.tainted.add(key);
    }
  }

  taintAll(): void {
    this.areAllTainted = true;
  }

  /** Whether one of its keys is tainted, in the form of a flight. */
  flightOf(key: string): KeyOfGroup {
    return new KeyOfGroup(this, key);
  }

  isTainted(key: string): boolean {
    return this.areAllTainted || this.tainted.has(key);
  }
}

class KeyOfGroup {
  readonly check = undefined;
  readonly values = undefined;
  readonly ahead = undefined;

  constructor(
    private readonly group: GroupRead,
    private readonly key: string,
  ) {}

  get isTainted(): boolean {
    return this.group.isTainted(this.key);
  }
}
