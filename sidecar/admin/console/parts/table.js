// A table that sorts, works by keyboard, and becomes cards on a phone.
//
//   html`<${Table} caption="Backends" rows=${rows} rowKey=${(row) => row.name}
//     columns=${[
//       { key: "name", title: "Name", cell: (row) => html`<a href=${link("backends", row.name)}>${row.name}</a>` },
//       { key: "latency", title: "Latency p50", value: (row) => row.latency, cell: (row) => format.ms(row.latency), number: true },
//       { key: "actions", title: "Actions", cell: Buttons, fixed: true },
//     ]}
//     sort=${{ key: "name", descending: false }} empty="No backends yet." />`
//
// `value(row)` is what is sorted by (default row[key]), `cell(row)` what is shown (default the value).
// `fixed`: this column cannot be sorted. Without `sort` rows stay in the order given until somebody sorts.
// `rowClass(row)` → class of a row.

import { html, useState } from "../dom.js";

const valueOf = (column, row) => (column.value ? column.value(row) : row[column.key]);

export function Table({ caption, columns, rows, rowKey, sort = null, empty = "Nothing here.", rowClass }) {
  const [order, setOrder] = useState(sort);
  const by = (key) => setOrder({ key, descending: order?.key === key && !order.descending });
  const sorted = inOrder(rows, columns.find(({ key }) => key === order?.key), order?.descending);
  return html`<div class="table-box">
    <table role="table">
      <caption class="unseen">${caption}</caption>
      <thead role="rowgroup"><tr role="row">${columns.map((column) => html`<${Head} key=${column.key} column=${column} order=${order} by=${by} />`)}</tr></thead>
      <tbody role="rowgroup">
        ${sorted.map((row) => html`<tr role="row" key=${rowKey(row)} class=${rowClass?.(row)}>
          ${columns.map((column) => html`<td role="cell" key=${column.key} data-title=${column.title} class=${column.number ? "number" : ""}>
            <div class="cell">${column.cell ? column.cell(row) : (valueOf(column, row) ?? "–")}</div></td>`)}
        </tr>`)}
      </tbody>
    </table>
    ${rows.length === 0 && html`<p class="empty">${empty}</p>`}
  </div>`;
}

function Head({ column, order, by }) {
  const { key, title, number, fixed } = column;
  const sorted = order?.key === key ? (order.descending ? "descending" : "ascending") : undefined;
  const arrow = sorted ? (order.descending ? " ↓" : " ↑") : "";
  return html`<th role="columnheader" scope="col" class=${number ? "number" : ""} aria-sort=${sorted}>
    ${fixed ? title : html`<button type="button" class="sort" onClick=${() => by(key)}>${title}<span aria-hidden="true">${arrow}</span></button>`}
  </th>`;
}

function inOrder(rows, column, descending) {
  if (!column) return rows;
  const sign = descending ? -1 : 1;
  return [...rows].sort((a, b) => compare(valueOf(column, a), valueOf(column, b), sign));
}

/** What is missing comes last, whatever the direction. */
function compare(a, b, sign) {
  const [noA, noB] = [a, b].map((one) => one === null || one === undefined);
  if (noA || noB) return noA - noB;
  return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
}
