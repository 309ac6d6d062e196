import './style/base.css'
import { mount } from 'svelte'
import App from './App.svelte'
import { start } from './engine/page'
import { follow } from './follow'
import { app } from './state.svelte'
import { takeToken } from './token'

takeToken()
app.load(location.hash)
void start()
void follow(app.saved)
export default mount(App, { target: document.getElementById('app')! })
