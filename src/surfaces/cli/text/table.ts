export interface Column<Row> {
  readonly title: string;
  readonly align?: 'left' | 'right';
  cell(row: Row): string;
  /** Colours a cell after it was measured and padded. */
  paint?(text: string, row: Row): string;
}

/**
 * Columns two spaces apart, as wide as their widest cell; the last one is cut at `columns`
 * characters, and is not padded. Ends with a newline.
 */
export function tableText<Row>(
  rows: readonly Row[],
  layout: readonly Column<Row>[],
  columns: number,
): string {
  const cells = rows.map((row) => layout.map((column) => column.cell(row)));
  const widths = layout.map(({ title }, i) =>
    Math.max(title.length, ...cells.map((line) => (line[i] ?? '').length)),
  );
  const render = (texts: readonly string[], row: Row | null): string => {
    let used = 0;
    const parts = layout.map((column, i) => {
      const width = widths[i] ?? 0;
      const last = i === layout.length - 1;
      const text = last
        ? cut(texts[i] ?? '', columns - used)
        : pad(texts[i] ?? '', width, column.align);
      used += width + 2;
      return row === null || column.paint === undefined ? text : column.paint(text, row);
    });
    return `${parts.join('  ').trimEnd()}\n`;
  };
  const head = render(
    layout.map((column) => column.title),
    null,
  );
  return head + rows.map((row, i) => render(cells[i] ?? [], row)).join('');
}

function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  return align === 'left' ? text.padEnd(width) : text.padStart(width);
}

function cut(text: string, width: number): string {
  if (text.length <= width) return text;
  return width < 4 ? '' : `${text.slice(0, width - 1)}…`;
}
