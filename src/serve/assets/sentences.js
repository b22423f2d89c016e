// The sentences with which demos, lessons and runs say what happened, on the Chinese page. Those of demos and lessons
// are fixed but for numbers: `#` stands for each. Those of runs are made from the fields of the record.
import { language } from "./words.js";

const FIXED_ZH = {
  "the server stopped when asked to: exit code #": "服务器按要求停止：退出码 #",
  "Two people talk at the same time. The server reads # bytes at a time, so each character of 你好 (# bytes) can be split over two reads; Q ends the conversation.": "两个人同时说话。服务器每次读 # 字节，所以“你好”的每个字（# 字节）可能被拆到两次读取中；Q 结束对话。",
  "the client received \"hello\"": "客户端收到了 \"hello\"",
  "the server put 你好 together again": "服务器把“你好”重新拼好了",
  "the conversation ended without an error": "对话正常结束",
  "Two clients, distinguished by their addresses. The server's buffer has # bytes, and it ignores every second datagram of each client, as if the network had lost it.": "两个客户端，靠地址区分。服务器的缓冲区有 # 字节，并忽略每个客户端的每第二个数据报，就像网络丢了它一样。",
  "each message was answered with 收到": "每条消息都得到了“收到”的回答",
  "a loss was noticed, and the message sent again": "丢失被发现，消息重发了",
  "a datagram of # bytes was cut to #: datagrams are whole or cut, never joined": "# 字节的数据报被截成 # 字节：数据报要么完整要么被截断，从不粘连",
  "the server received every client's messages and distinguished the clients": "服务器收到了每个客户端的消息，并区分了它们",
  "# small sends with Nagle's algorithm on, read late.": "# 次小的发送，开启 Nagle 算法，稍后才读取。",
  "# sends, # bytes, arrived in # read": "# 次发送，共 # 字节，由 # 次读取得到",
  "# sends, # bytes, arrived in # reads": "# 次发送，共 # 字节，由 # 次读取得到",
  "every byte arrived, joined into fewer reads than sends": "每个字节都到了，读取比发送少：粘在一起了",
  "The same with Nagle's algorithm off: more packets, and still no boundaries.": "同上，但关闭 Nagle 算法：报文段更多，仍然没有边界。",
  "Nagle's algorithm off and reads of # bytes: now messages are split.": "关闭 Nagle 算法，每次读 # 字节：现在消息被拆开了。",
  "every byte arrived, split over more reads than sends": "每个字节都到了，读取比发送多：被拆开了",
  "The same messages as frames, read # bytes at a time: each one is complete.": "同样的消息加上长度成为帧，每次读 # 字节：每条都完整。",
  "# frames sent, # messages received, in order": "发送了 # 帧，按次序收到 # 条消息",
  "A stream has no boundaries, with or without Nagle's algorithm: a protocol must add them.": "流没有边界，与 Nagle 算法无关：边界要由协议来加。",
  "Two messages are sent at once, each preceded by its length; the client answers with one.": "一次发送两条消息，各自前面带长度；客户端回答一条。",
  "the client received two separate, complete messages": "客户端收到两条分开的、完整的消息",
  "the server received the client's message": "服务器收到了客户端的消息",
  "A hostile client claims a frame of # GiB; another one closes inside a frame.": "一个恶意客户端声称有 # GiB 的帧；另一个在帧的中间关闭。",
  "each cost its own connection and one line, before memory was allocated": "各自只损失了自己的连接，记下一行，且没有为它们分配内存",
  "the next client is served": "下一个客户端得到服务",
  "The receiver listens, the sender connects: a length, a JSON header, then # MB.": "接收方监听，发送方连接：先是长度，然后 JSON 头，然后 # MB。",
  "both ends show the same digest, that of the file": "两端显示相同的摘要，就是文件的摘要",
  "the file arrived whole": "文件完整到达",
  "The same name again: an existing file is not replaced without --overwrite.": "再用同一个名字：没有 --overwrite 就不会覆盖已有文件。",
  "the sender is told why": "发送方得知原因",
  "Hostile senders: names that lead out of the folder, and sizes that lie.": "恶意的发送方：想逃出文件夹的名字，以及虚假的大小。",
  "each cost one line": "各自只多记了一行",
  "the folder holds the earlier file and nothing else": "文件夹里只有先前的文件",
  "A transfer breaks off after # MB. With --resume at both ends, the next one continues there.": "传输在 # MB 后中断。两端都用 --resume 时，下一次从那里继续。",
  "a broken transfer leaves no file of that name": "中断的传输不留下该名字的文件",
  "only the rest was sent, and the file is whole": "只发送了剩余部分，文件完整",
  "the folder holds nothing else": "文件夹里没有别的东西",
  "The sender listens, the receiver connects.": "发送方监听，接收方连接。",
  "A thread per connection: two clients at once.": "每个连接一个线程：同时两个客户端。",
  "A process per connection, under the supervisor: two clients at once.": "每个连接一个进程，由监督者管理：同时两个客户端。",
  "every byte came back to both": "两者都收回了每个字节",
  "A busy loop tries every socket, again and again. # connections, # of them idle.": "忙循环反复尝试每个套接字。# 个连接，其中 # 个空闲。",
  "Readiness: the kernel reports which socket has something. # connections, # of them idle.": "就绪通知：由内核报告哪个套接字有数据。# 个连接，其中 # 个空闲。",
  "the text came back in upper case": "文本以大写返回",
  "# requests were answered": "# 个请求都得到了回答",
  "busy loop: # % of a core idle, # % under load, # requests/s from one client": "忙循环：空闲时占一个核的 # %，负载下 # %，单个客户端每秒 # 个请求",
  "readiness: # % of a core idle, # % under load, # requests/s from one client": "就绪通知：空闲时占一个核的 # %，负载下 # %，单个客户端每秒 # 个请求",
  "when idle, it uses processor time": "空闲时也占用处理器",
  "when idle, it uses almost no processor time": "空闲时几乎不占用处理器",
  "md# of key and nonce. The key is \"alexsb\", which is public: use it for this demo only.": "对密钥和随机数求 md#。密钥是公开的 \"alexsb\"：只可用于这个演示。",
  "a client with the key is served": "持有密钥的客户端得到服务",
  "a client with another key is closed without a reply": "密钥不同的客户端被关闭，没有回答",
  "An eavesdropper has recorded the first client's proof and sends it again.": "窃听者录下了第一个客户端的证明，再发一次。",
  "the nonce is new, so the old proof is wrong: closed without a reply": "随机数是新的，旧证明无效：被关闭，没有回答",
  "But the eavesdropper can test keys against the recorded proof, unnoticed.": "但窃听者可以拿录下的证明来试密钥，无人察觉。",
  "# guesses of the form \"a first name and two letters\" took # ms: the key is \"alexsb\"": "按“名字加两个字母”的形式猜 # 次，用时 # 毫秒：密钥是 \"alexsb\"",
  "the short key was guessed": "短密钥被猜出",
  "hmac-sha# can be attacked in the same way: only a long random key resists.": "hmac-sha# 也能这样攻击：只有长的随机密钥才安全。",
  "hmac-sha#: each end proves to the other that it has the key, over both nonces.": "hmac-sha#：两端用双方的随机数互相证明持有密钥。",
  "both ends have proven that they have the key": "两端都证明了自己持有密钥",
  "a client sends nothing to a server without the key": "客户端不会向没有密钥的服务器发送任何内容",
  "start returns while the child works; join returns when it has ended and leaves no zombie": "start 在子进程工作时就返回；join 在它结束时返回，不留下僵尸",
  "# left": "剩 # 张",
  "# left, # sold": "剩 # 张，卖出 # 张",
  "# left, none sold": "剩 # 张，没有卖出",
  "trace of port # from the packets on loopback": "端口 # 的跟踪，来自回环接口上的数据包",
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

/** A sentence of a demo or a lesson. */
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
