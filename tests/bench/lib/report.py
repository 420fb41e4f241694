"""The table, the JSON file and the picture of a run of tests/bench/compare."""

import json
import os
import platform
import statistics
from xml.sax.saxutils import escape

from nettest import BIN

# What a table shows: measure, figure, heading, format, what one of the figure is divided by.
COLUMNS = (
    ("tcp1", "gbit", "TCP 1 Gbit/s", "{:.2f}", 1),
    ("tcp1", "cpu_s_per_gb", "CPU s/GB", "{:.2f}", 1),
    ("tcp8", "gbit", "TCP 8", "{:.2f}", 1),
    ("both", "gbit", "8 each way", "{:.2f}", 1),
    ("udp64", "pps", "UDP 64 kpps", "{:.0f}", 1000),
    ("udp512", "pps", "512", "{:.0f}", 1000),
    ("udp1372", "pps", "1372", "{:.0f}", 1000),
    ("idle", "p50_us", "RTT p50 us", "{:.0f}", 1),
    ("idle", "p99_us", "p99", "{:.0f}", 1),
    ("loaded", "p50_us", "loaded p50", "{:.0f}", 1),
    ("loaded", "p99_us", "p99", "{:.0f}", 1),
    ("handshakes", "cpu_us", "handshake us", "{:.0f}", 1),
    ("memory", "mib", "MiB", "{:.0f}", 1),
)
LOWER_IS_BETTER = {"cpu_s_per_gb", "p50_us", "p99_us", "cpu_us", "mib"}


def figures(competitor, measure, figure):
    return [row[figure] for row in competitor.results.get(measure, []) if row.get(figure) is not None]


def median(competitor, measure, figure):
    values = figures(competitor, measure, figure)
    return statistics.median(values) if values else None


def spread(values, form="{:.2f}"):
    """Median (least–most), or the one value that there is."""
    text = form.format(statistics.median(values))
    return text if len(values) == 1 else f"{text} ({form.format(min(values))}–{form.format(max(values))})"


def bench_file(name):
    """BUILD/bench/NAME, in a folder that is there."""
    folder = os.path.join(os.path.dirname(os.path.abspath(BIN)), "bench")
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, name)


def write_figures(name, figures):
    with open(bench_file(name), "w", encoding="utf-8") as out:
        json.dump(figures, out, indent=1)
        out.write("\n")


def cell(competitor, measure, figure, form, divisor):
    values = [v / divisor for v in figures(competitor, measure, figure)]
    if not values or (figure == "cpu_s_per_gb" and not competitor.daemons):
        return "–"
    return spread(values, form)


def table(competitors, columns=COLUMNS):
    columns = [c for c in columns if any(figures(x, c[0], c[1]) for x in competitors)]
    rows = [["", *(c[2] for c in columns)]]
    rows += [[x.name, *(cell(x, *c[:2], *c[3:]) for c in columns)] for x in competitors]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)


# What is asked: title, our figure, whose, of what, at least (or at most) how many times theirs, the goal.
ASKED = (
    ("TCP, one stream", "greywire", "wireguard-go-newest", "tcp1", "gbit", 2.0, 3.0),
    ("TCP, one stream", "greywire", "wireguard-go-debian", "tcp1", "gbit", 8.0, 12.0),
    ("the same through GRE", "greywire-gre", "greywire", "tcp1", "gbit", 0.9, 0.97),
    ("the same through GRETAP", "greywire-gretap", "greywire", "tcp1", "gbit", 0.85, 0.95),
    ("daemon CPU per GB", "greywire", "wireguard-go-newest", "tcp1", "cpu_s_per_gb", 0.45, 0.33),
    ("UDP 64 B, loss-free", "greywire", "wireguard-go-newest", "udp64", "pps", 4.0, None),
    ("UDP 1,372 B, loss-free", "greywire", "wireguard-go-newest", "udp1372", "pps", 4.0, None),
    ("round trip under load, p99", "greywire", "wireguard-go-newest", "loaded", "p99_us", 0.5, 0.25),
    ("8 streams each way", "greywire", "wireguard-go-newest", "both", "gbit", 2.0, 3.0),
)


def ratios(competitors):
    """Rows (text, holds) for what both sides were measured in."""
    by_name = {c.name: c for c in competitors}
    found = []
    for title, ours, theirs, measure, figure, least, goal in ASKED:
        if ours not in by_name or theirs not in by_name:
            continue
        one, other = (median(by_name[name], measure, figure) for name in (ours, theirs))
        if not one or not other:
            continue
        ratio, lower = one / other, figure in LOWER_IS_BETTER
        # Round by round, so that what the machine did meanwhile meets both sides alike.
        pairs = [a / b for a, b in zip(figures(by_name[ours], measure, figure), figures(by_name[theirs], measure, figure)) if b]
        spread = f" ({min(pairs):.2f}–{max(pairs):.2f} by round)" if len(pairs) > 1 else ""
        holds = ratio <= least if lower else ratio >= least
        asked = f"asked {'≤' if lower else '≥'} {least:g}" + (f", goal {goal:g}" if goal else "")
        found.append((f"{title}: {ours} : {theirs} = {ratio:.2f}{spread}, {asked}{'' if holds else '  <-- not reached'}", holds))
    return found


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def write_json(name, options, competitors, skipped):
    report = {
        "machine": {"kernel": platform.release(), "cpu": cpu_model(), "cpus": os.cpu_count()},
        "seconds": options.seconds, "rounds": options.rounds,
        "competitors": [{"name": c.name, "version": c.version, "about": c.about, "mtu": c.mtu, "results": c.results}
                        for c in competitors],
        "ratios": [text for text, _ in ratios(competitors)],
        "skipped": [{"name": name, "why": why} for name, why in skipped],
    }
    write_figures(name, report)


PLOTS = (("tcp1", "gbit", "TCP, one stream, Gbit/s", 1), ("both", "gbit", "TCP, 8 streams each way, Gbit/s, both directions", 1),
         ("tcp1", "cpu_s_per_gb", "CPU time of the daemons, s a GB", 1),
         ("udp64", "pps", "UDP of 64 bytes without loss, 1,000 packets/s", 1000),
         ("udp1372", "pps", "UDP of 1,372 bytes without loss, 1,000 packets/s", 1000),
         ("loaded", "p99_us", "round trip beside a stream, 99th percentile, us", 1))


def write_svg(path, competitors):
    """Bars: the median, and a line from the least to the most."""
    name_width, bar_width, row, gap = 170, 420, 18, 34
    lines, y = [], 10
    for measure, figure, title, divisor in PLOTS:
        shown = [(c, [v / divisor for v in figures(c, measure, figure)]) for c in competitors
                 if figures(c, measure, figure) and (c.daemons or figure != "cpu_s_per_gb")]
        if not shown:
            continue
        most = max(max(values) for _, values in shown)
        y += gap - 10
        lines.append(f'<text x="8" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 8
        for competitor, values in shown:
            scale, middle = bar_width / most, statistics.median(values)
            colour = "#2a6f97" if "greywire" in competitor.name else "#b0b7bf"
            lines.append(f'<text x="8" y="{y + 13}">{escape(competitor.name)}</text>'
                         f'<rect x="{name_width}" y="{y + 2}" width="{middle * scale:.1f}" height="{row - 5}" fill="{colour}"/>'
                         f'<line x1="{name_width + min(values) * scale:.1f}" x2="{name_width + max(values) * scale:.1f}" '
                         f'y1="{y + 8.5}" y2="{y + 8.5}" stroke="#222"/>'
                         f'<text x="{name_width + max(values) * scale + 6:.1f}" y="{y + 13}">{middle:.4g}</text>')
            y += row
    width = name_width + bar_width + 90
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 12}" font-family="sans-serif" '
                  f'font-size="12"><rect width="100%" height="100%" fill="#fff"/>{"".join(lines)}</svg>\n')
