// The sentences with which lessons and runs say what happened, on the Chinese page. Those of lessons are fixed but for
// numbers: `#` stands for each. Those of runs are made from the fields of the record.
import { language } from "./words.js";

const FIXED_ZH = {
  "start returns while the child works; join returns when it has ended and leaves no zombie": "start 在子进程工作时就返回；join 在它结束时返回，不留下僵尸",
  "# left": "剩 # 张",
  "# left, # sold": "剩 # 张，卖出 # 张",
  "# left, none sold": "剩 # 张，没有卖出",
  "the PPID of each generation is the PID of the one before": "每一代的 PPID 就是上一代的 PID",
  "the child began with fresh memory (#) and wrote -#; the parent's variable is still #": "子进程从全新的内存开始（#），写入 -#；父进程的变量仍是 #",
  "the child began with a copy of the parent's value (#) and wrote #; the parent's variable is still #": "子进程从父进程的值的副本开始（#），写入 #；父进程的变量仍是 #",
  "a daemon is terminated when its supervisor ends, and dies with it even if that is killed": "监督者结束时守护进程被终止；即使监督者被杀死，它也随之而死",
  "when the parent's code ends, its supervisor waits for a child that is not a daemon": "父进程的代码结束时，监督者会等待不是守护进程的子进程",
  "when a parent dies, the nearest subreaper above it, or else init, becomes the parent of its child": "父进程死后，它上方最近的 subreaper（没有则是 init）成为其子进程的父进程",
  "a child that has ended is a zombie (Z) until its parent reaps it": "已结束的子进程在被父进程回收之前是僵尸（Z）",
  "on one processor two children take turns and never run at once; on two processors they do": "在一个处理器上两个子进程轮流运行，从不同时；在两个处理器上则会同时运行",
  "a blocked process uses no processor time; an asynchronous caller continues while others work": "阻塞的进程不占用处理器；异步的调用者在别人工作时继续做自己的事",
  "each state was seen in /proc: running, ready, blocked on a timer, blocked on a lock, stopped, zombie": "每种状态都在 /proc 中看到了：运行、就绪、阻塞于定时器、阻塞于锁、暂停、僵尸",
  "terminate only sends a signal: it returned while the child was alive; join then reported SIGTERM": "terminate 只发送信号：它返回时子进程还活着；之后 join 报告了 SIGTERM",
};

const number = /\d+(?:\.\d+)?/g;

/** A sentence of a lesson. */
export function sentence(text, which = language()) {
  const found = which === "zh" ? FIXED_ZH[text.replace(number, "#")] : null;
  if (!found) return text;
  const values = text.match(number) ?? [];
  return found.replace(/#/g, () => values.shift());
}

/** What a run has left, in sentences, from its record. */
export function summary(record, which = language()) {
  const said = (record.summary ?? []).map((line) => sentence(line, which));
  if (which !== "zh") return said;
  if (record.scenario === "tickets" && record.runs) return record.runs.map((run) => `${run.lock === "none" ? "无锁" : run.lock}：${sale(run.outcome)}`);
  if (record.scenario === "pipeline" && record.eaten) return [line(record)];
  return said;
}

function sale({ verdict, sold, initial, left }) {
  const rest = left === null ? "文件里没有数字" : `文件里还剩 ${left} 张`;
  return {
    ok: `${initial} 张票卖出 ${sold} 张，${rest}：每张票都对得上。`,
    oversold: `${sold} 个买家拿到了票，而票只有 ${initial} 张：有人读到同一个数，各自卖出了那张票。`,
    "lost-update": `${initial} 张票卖出 ${sold} 张，${rest}：有一次写入被覆盖了。`,
    "torn-read": "有买家在文件已清空、尚未写好时读了它。",
    deadlock: "所有还活着的买家都在等待，没有人能继续。",
  }[verdict] ?? `${initial} 张票卖出 ${sold} 张，${rest}。`;
}

function line({ produced, eaten, missing, twice, stuck }) {
  const ate = Object.values(eaten).reduce((sum, one) => sum + one, 0);
  const parts = [`放入 ${produced} 件，取走 ${ate} 件`];
  if (missing.length) parts.push(`${missing.length} 件从未取走`);
  if (twice.length) parts.push(`${twice.length} 件取走了两次`);
  if (stuck.length) parts.push(`${stuck.map((one) => one.process ?? one).join("、")} 永远在等待`);
  return parts.length > 1 ? `${parts.join("，")}。` : `${parts[0]}：每件恰好一次。`;
}

/** At which step a schedule has gone wrong, and how; null where all is well. */
export function broken(scene, t, which = language()) {
  const { ending, done, cards } = scene;
  if (!ending?.broken) return null;
  const [at, how] = ending.broken;
  if (which !== "zh") return t("Step {n}: {how}", { n: at, how });
  const step = done[at - 1];
  if (step) return `第 ${at} 步：${step.process} 的“${t(step.name)}”${{ oversold: "卖出了不存在的票", "lost-update": "覆盖了别人写入的内容", "torn-read": "读到了只写了一半的文件" }[ending.verdict] ?? "出了错"}。`;
  const waits = cards.filter((card) => card.state === "waits").map((card) => (card.held_by.length ? `${card.name} 在等 ${card.held_by.join("、")}` : `${card.name} 停在“${t(card.step ?? "")}”`));
  return `没有进程能继续：${waits.join("，")}。`;
}
