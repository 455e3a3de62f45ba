// In the place of Bokeh's tables, which Panel's scripts ask for and no page of ours shows: 300 KB to read and run.
Bokeh.register_plugin({"panelist/tables": () => {}}, "panelist/tables", {"models/widgets/tables/index": "panelist/tables"})
