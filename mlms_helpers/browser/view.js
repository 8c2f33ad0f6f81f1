// What the 3-D view does beside turning: after a click into it the wheel zooms, and before that it scrolls the
// page; atoms are named as Python counts them.  `this` is nglview's view.
const stage = this.stage, box = stage.viewer.container;
stage.mouseObserver.handleScroll = false;
box.addEventListener('mousedown', () => { stage.mouseObserver.handleScroll = true; });
box.addEventListener('mouseleave', () => { stage.mouseObserver.handleScroll = false; });
this.$pickingInfo.remove();
stage.mouseControls.remove('hoverPick');
stage.mouseControls.remove('clickPick-left');
stage.signals.hovered.add(spot => {
    stage.tooltip.style.display = spot && spot.atom ? 'block' : 'none';
    if (spot && spot.atom) {
        stage.tooltip.innerText = 'atom ' + spot.atom.index + ': ' + this.elements[spot.atom.index];
        stage.tooltip.style.left = (spot.mouse.position.x + 12) + 'px';
        stage.tooltip.style.bottom = (window.innerHeight - spot.mouse.position.y + 12) + 'px';
    } });
