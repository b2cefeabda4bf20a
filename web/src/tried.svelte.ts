// A what-if beside the plan: asked of the app again and again while a person drags, the newest question only; then adopted, or given up.
import { api, type Failure } from "./api";

const PATIENCE = 40; // ms that a question waits for a newer one

/** `Question` is what is tried, `Answer` what the app says would become of it. */
export class Tried<Question extends object, Answer> {
  question = $state.raw<Question | null>(null);
  answer = $state.raw<Answer | null>(null);
  failure = $state.raw<Failure | null>(null);
  /** A newer question is under way than the one whose answer is shown. */
  busy = $state(false);
  private asking = false;
  private epoch = 0;

  constructor(private app: string) {}

  /** Asks what would be; what is asked while an answer is on its way follows it, the newest only. */
  async ask(question: Question) {
    this.question = question;
    this.busy = true;
    this.epoch++;
    if (this.asking) return;
    this.asking = true;
    for (let asked = -1; asked !== this.epoch; ) {
      await new Promise((done) => setTimeout(done, PATIENCE));
      asked = this.epoch;
      if (this.question) await this.fetch(this.question, asked);
    }
    this.asking = false;
    this.busy = false;
  }

  private async fetch(question: Question, asked: number) {
    try {
      const args = Object.fromEntries(Object.entries(question).map(([name, value]) => [name, JSON.stringify(value)]));
      const answer = await api.ask<Answer>(this.app, "try", args);
      if (asked !== this.epoch) return;
      [this.answer, this.failure] = [answer, null];
    } catch (error) {
      if (asked === this.epoch) [this.answer, this.failure] = [null, error as Failure];
    }
  }

  /** Makes it the plan; true when it is. */
  async adopt(): Promise<boolean> {
    if (!this.question) return false;
    this.busy = true;
    try {
      await api.tell(this.app, "adopt", this.question);
      this.discard();
      return true;
    } catch (error) {
      this.failure = error as Failure;
      return false;
    } finally {
      this.busy = false;
    }
  }

  discard() {
    this.epoch++;
    [this.question, this.answer, this.failure] = [null, null, null];
  }
}
