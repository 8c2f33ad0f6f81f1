// The picture of a map is drawn by matplotlib, as all figures here; the browser adds what moves: a ring around
// the point under the pointer, another around the one picked.  Arrow keys step to the nearest point in their
// direction, Enter picks it.
function render({ model, el }) {
    el.innerHTML = `<div class="mlms-map" tabindex="0" role="application"
            style="position:relative;max-width:100%">
        <img draggable="false" style="display:block;width:100%">
        <svg style="position:absolute;inset:0;width:100%;height:100%;pointer-events:none" fill="none">
            <g class="together" stroke="#D55E00" stroke-width="1.5"></g>
            <circle class="picked" r="9" stroke="#D55E00" stroke-width="3"/>
            <circle class="near" r="7" stroke="black" stroke-width="1.5"/></svg>
        <div class="name" role="status" style="position:absolute;left:0;top:0;padding:1px 6px;background:white;
            color:black;border:1px solid #666;font-size:13px;pointer-events:none;white-space:nowrap;
            display:none"></div></div>`;
    const box = el.querySelector('.mlms-map'), image = el.querySelector('img');
    const name = el.querySelector('.name');
    box.dataset.lmSuppressShortcuts = 'true';          // arrow keys and Enter are ours, not JupyterLab's
    let near = null, address = null;

    function place(circle, i) {
        const point = i === null || i === undefined ? null : model.get('points')[i];
        circle.style.display = point ? '' : 'none';
        if (point) { circle.setAttribute('cx', point[0]); circle.setAttribute('cy', point[1]); }
    }
    function point_at(i) {                              // the ring and the name of the point one might pick
        near = i;
        place(el.querySelector('.near'), i);
        name.style.display = i === null ? 'none' : '';
        if (i === null) return;
        name.textContent = model.get('names')[i];
        const [x, y] = model.get('points')[i], scale = image.clientWidth / model.get('width');
        name.style.left = Math.max(0, Math.min(x * scale + 12, box.clientWidth - name.offsetWidth)) + 'px';
        name.style.top = Math.max(0, y * scale - 34) + 'px';
    }
    function nearest(x, y, cost) {
        let best = null, least = Infinity;
        model.get('points').forEach(([px, py], i) => {
            const far = cost(px - x, py - y);
            if (far < least) { least = far; best = i; }
        });
        return best;
    }
    function under(event) {
        const frame = image.getBoundingClientRect(), scale = model.get('width') / frame.width;
        return nearest((event.clientX - frame.left) * scale, (event.clientY - frame.top) * scale,
                       (dx, dy) => dx * dx + dy * dy < 200 ? dx * dx + dy * dy : Infinity);
    }
    function pick(i) {
        if (i === null) return;
        model.set('selected', i);
        model.save_changes();
    }
    box.addEventListener('pointermove', event => point_at(under(event)));
    box.addEventListener('pointerleave', () => point_at(null));
    box.addEventListener('click', event => pick(under(event)));
    box.addEventListener('keydown', event => {
        const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (way) {
            const from = near ?? model.get('selected');
            const middle = [model.get('width') / 2, model.get('height') / 2];
            const [x, y] = from === null ? middle : model.get('points')[from];
            const next = nearest(x, y, (dx, dy) => {
                const along = dx * way[0] + dy * way[1];
                const across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
                return along > 0.5 && across <= along ? along + 2 * across : Infinity;
            });
            point_at(next ?? from);
        } else if (event.key === 'Enter' || event.key === ' ') pick(near);
        else return;
        event.preventDefault();
        event.stopPropagation();
    });
    function show() {
        const before = address;
        address = URL.createObjectURL(new Blob([model.get('png')], { type: 'image/png' }));
        image.src = address;
        if (before) URL.revokeObjectURL(before);
        box.style.width = model.get('width') + 'px';
        el.querySelector('svg').setAttribute('viewBox', `0 0 ${model.get('width')} ${model.get('height')}`);
        image.alt = model.get('alt');
        const keys = ' Arrow keys step from point to point, Enter picks.';
        box.setAttribute('aria-label', model.get('alt') + keys);
        point_at(null);
        mark();
    }
    function mark() {
        place(el.querySelector('.picked'), model.get('selected'));
        const others = model.get('together').map(i => model.get('points')[i]);
        el.querySelector('.together').innerHTML =
            others.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="5"/>`).join('');
    }
    model.on('change:png', show);
    model.on('change:selected change:together', mark);
    show();
    return () => {
        model.off('change:png', show);
        model.off('change:selected change:together', mark);
        URL.revokeObjectURL(address);
    };
}
export default { render };
